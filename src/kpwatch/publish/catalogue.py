"""Who can be published for, and what is made for each. Pure; makers are loaded when they are asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kpwatch.publish.documents import Document

TARGETS = ("nightingale", "grafana", "prometheus", "markdown")


class Wishes(NamedTuple):
    """What a user may choose."""

    runbooks: str = "runbooks"
    """URL of the folder with the runbooks, for `runbook_url`."""
    tests: bool = True
    """Whether rules come with their unit tests, for which whole fleets are played."""


def documents_for(target: str, wishes: Wishes) -> list[Document]:
    """All files for one of TARGETS, by path."""
    make: Callable[[Wishes], Iterable[Document]] = importlib.import_module(f"kpwatch.publish.{target}").documents
    return sorted(make(wishes))
