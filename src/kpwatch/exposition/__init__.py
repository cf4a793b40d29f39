"""Bytes that a target served -> samples. Pure."""
