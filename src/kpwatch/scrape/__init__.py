"""Asks targets for their metrics and health, on time, each independent of the others."""
