"""Chance that can be asked again: the same key gives the same number, in any order, in any process.

A simulated node must be able to show any past instant, so nothing random may depend on who asked before.
"""

from __future__ import annotations

from hashlib import blake2b

_SCALE = 2.0**-64


def unit(*key: str | int) -> float:
    """A number in [0, 1) that belongs to `key`."""
    digest = blake2b("\0".join(map(str, key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") * _SCALE


def between(low: float, high: float, *key: str | int) -> float:
    """A number in [low, high) that belongs to `key`."""
    return low + (high - low) * unit(*key)
