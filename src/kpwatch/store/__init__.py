"""Keeps frames in SQLite: journal, blocks, index."""
