"""How options with secrets are shown: `repr` names every field but those. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, NamedTuple


def shown_without(options: NamedTuple, *secrets: str) -> str:
    """What `repr` of a named tuple gives, without the fields named."""
    given: dict[str, Any] = options._asdict()
    shown = ", ".join(f"{name}={value!r}" for name, value in given.items() if name not in secrets)
    return f"{type(options).__name__}({shown})"
