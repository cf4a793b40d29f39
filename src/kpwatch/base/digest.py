"""SHA-256 without OpenSSL: `hashlib` loads it, 3 MB an agent that speaks plain HTTP has no use for."""

from __future__ import annotations

import importlib
from typing import Any


def _sha256() -> Any:
    for name in ("_sha2", "_sha256", "hashlib"):  # Python 3.12 and later, 3.11, one built without either
        try:
            return importlib.import_module(name).sha256
        except ImportError:
            continue  # the next one has it; the last always
    raise AssertionError("hashlib is part of Python")


def sha256_hex(data: bytes) -> str:
    """The digest, 64 hexadecimal digits."""
    digest: str = _sha256()(data).hexdigest()
    return digest
