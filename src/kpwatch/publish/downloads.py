"""What a hub gives away: the files of `kpwatch publish`, without those that take long to make.

Rules come without their unit tests. What was made is kept, since people look before they take: a few megabytes, in a
hub that somebody asked.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from kpwatch.publish.catalogue import TARGETS, Wishes, documents_for

if TYPE_CHECKING:
    from kpwatch.publish.documents import Document


@lru_cache(maxsize=2 * len(TARGETS))
def downloads(target: str, runbooks: str) -> tuple[Document, ...]:
    """Files for one of TARGETS, by path; `runbooks` is the URL of the folder that has them, for alerts to name."""
    return tuple(documents_for(target, Wishes(runbooks, tests=False)))
