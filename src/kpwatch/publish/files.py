"""Documents into a folder: only what differs is written, each file whole or not at all. Edge."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kpwatch.base.errors import KpwatchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from kpwatch.publish.documents import Document


def write_documents(folder: Path, documents: Iterable[Document]) -> Iterator[tuple[str, str]]:
    """(created, updated or unchanged; path) of each; raises KpwatchError naming the file that cannot be written."""
    for document in documents:
        file = folder / document.path
        try:
            yield _write(file, document.text.encode()), document.path
        except OSError as error:
            raise KpwatchError(f"{file}: cannot be written: {error.strerror or error}; choose another --out") from error


def _write(file: Path, body: bytes) -> str:
    before = file.read_bytes() if file.is_file() else None
    if before == body:
        return "unchanged"
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    beside.write_bytes(body)
    beside.replace(file)
    return "created" if before is None else "updated"
