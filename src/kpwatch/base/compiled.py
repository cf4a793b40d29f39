"""What was made of a file of this package, kept beside Python's bytecode: reading it again is a fraction of making it.

As with bytecode, what is kept belongs to one content of the file (a hash of it stands before it) and one version of
Python (in the name); where it is not there, broken or of something else, it is made, and written if that is possible.
Whoever may write there may write our code.
"""

from __future__ import annotations

import marshal
import os
import sys
from contextlib import suppress
from importlib.util import cache_from_source, source_hash
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def compiled(path: Path, make: Callable[[bytes], Any]) -> Any:
    """`make(content)` of a file, of plain dicts, lists, texts and numbers; raises OSError and what `make` raises."""
    source = path.read_bytes()
    digest = source_hash(source)
    kept_in = Path(cache_from_source(f"{path}.py")).with_suffix(".marshal")
    with suppress(OSError, ValueError, EOFError, TypeError):  # a half-written one too
        kept = kept_in.read_bytes()
        if kept[: len(digest)] == digest:
            return marshal.loads(kept[len(digest) :])  # noqa: S302 - see the module
    made = make(source)
    if not sys.dont_write_bytecode:
        with suppress(OSError):  # a directory that is not ours
            _write(kept_in, digest + marshal.dumps(made))
    return made


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_bytes(content)
    new.replace(path)
