"""Delivers encoded scrapes to Remote Write receivers."""
