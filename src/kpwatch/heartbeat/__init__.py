"""Tells Nightingale that this machine lives, and what it is."""
