"""What whoever keeps watches needs of one: a target is started, stopped, and retired when it is gone."""

from __future__ import annotations

from typing import Protocol, TypeVar

SPREAD_SECONDS = 0.5
"""First scrapes of targets that come together are spread over this time."""


class Watch(Protocol):
    """A target that is scraped until it is stopped."""

    def start(self, delay_seconds: float = 0.0) -> None:
        """First scrape in `delay_seconds`, then every interval."""
        ...

    def stop(self) -> None:
        """No scrape any more."""
        ...

    def retire(self) -> None:
        """Stop because the target is gone: its series end."""
        ...


OneWatch = TypeVar("OneWatch", bound=Watch)
"""The kind of watch a target has: one that sends, or one that prints."""
