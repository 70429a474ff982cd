"""What stops trading by itself: the loss limit, guards on the day's result, and panic."""
