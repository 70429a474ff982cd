"""Backups: an installation in one sealed file, and the folder that they are kept in."""
