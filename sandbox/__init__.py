"""Simulators of the outside world on loopback: an exchange, two brokers and Telegram.

They share no code with the controller, so that they cannot share its misreadings.
"""
