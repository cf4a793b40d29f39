"""Our own counters and gauges, and how they are shown.

A room asks the registry for a counter once, at start, and adds to it wherever something is dropped, retried or done:
nothing is lost in silence. `render()` writes text exposition 0.0.4. Not thread-safe per increment by lock: a CPython
`+=` on a slot from several threads may lose a count, so each counter belongs to one thread (the hub's writer thread
and its event loop have their own).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LabelPairs = tuple[tuple[str, str], ...]


class Counter:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1) -> None:
        """Grow by `amount` (>= 0)."""
        self.value += amount


class Gauge:
    """A number that is what it is: set, or read from a function when shown."""

    __slots__ = ("_read", "_value")

    def __init__(self, read: Callable[[], float] | None = None) -> None:
        self._value = 0.0
        self._read = read

    def set(self, value: float) -> None:
        """Remember `value`."""
        self._value = value

    @property
    def value(self) -> float:
        """The value now."""
        return self._read() if self._read is not None else self._value


Child = TypeVar("Child", Counter, Gauge)


class Registry:
    """All metrics of one process (or of one agent within `kpwatch up`)."""

    def __init__(self) -> None:
        self._families: dict[str, tuple[str, str, dict[LabelPairs, Counter | Gauge]]] = {}

    def counter(self, name: str, help_text: str, **labels: str) -> Counter:
        """The counter `name` with these labels, made on first use; `name` ends in `_total`."""
        return self._child(name, "counter", help_text, labels, Counter)

    def read_counter(self, name: str, help_text: str, read: Callable[[], float], **labels: str) -> Gauge:
        """A counter that somebody else keeps: `read` is asked when it is shown; `name` ends in `_total`."""
        return self._child(name, "counter", help_text, labels, lambda: Gauge(read))

    def gauge(self, name: str, help_text: str, read: Callable[[], float] | None = None, **labels: str) -> Gauge:
        """The gauge `name` with these labels, made on first use; `read` is asked when it is shown."""
        return self._child(name, "gauge", help_text, labels, lambda: Gauge(read))

    def _child(self, name: str, kind: str, help_text: str, labels: dict[str, str], make: Callable[[], Child]) -> Child:
        known_kind, _, children = self._families.setdefault(name, (kind, help_text, {}))
        assert known_kind == kind, f"{name} is a {known_kind}, asked for as a {kind}"
        key = tuple(sorted(labels.items()))
        child = children.get(key)
        if child is None:
            child = children[key] = make()
        return child  # type: ignore[return-value]

    def forget(self, **labels: str) -> None:
        """Show no metric with all of these labels any more: what they tell of is gone."""
        gone = labels.items()
        for _, _, children in self._families.values():
            for key in [key for key in children if gone <= dict(key).items()]:
                del children[key]

    def forget_one(self, name: str, **labels: str) -> None:
        """Show the metric `name` with exactly these labels no more."""
        if name in self._families:
            self._families[name][2].pop(tuple(sorted(labels.items())), None)

    def samples(self) -> Iterator[tuple[str, LabelPairs, float]]:
        """Every sample: name, labels, value."""
        for name, (_, _, children) in self._families.items():
            for labels, child in children.items():
                yield name, labels, child.value

    def families(self) -> Iterator[tuple[str, str, str, list[tuple[LabelPairs, float]]]]:
        """Every metric: name, counter or gauge, help, its samples."""
        for name, (kind, help_text, children) in list(self._families.items()):
            yield name, kind, help_text, [(labels, child.value) for labels, child in sorted(children.items())]

    def render(self) -> str:
        """All metrics as text exposition 0.0.4."""
        lines: list[str] = []
        for name, (kind, help_text, children) in sorted(self._families.items()):
            lines.append(f"# HELP {name} {help_text}")
            lines.append(f"# TYPE {name} {kind}")
            for labels, child in sorted(children.items()):
                lines.append(f"{name}{_label_text(labels)} {child.value:.17g}")
        return "\n".join(lines) + "\n" if lines else ""


def _label_text(labels: LabelPairs) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
