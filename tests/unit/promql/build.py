"""Short ways to sources and answers, for the tests of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.model.labels import make_labels
from kpwatch.model.memory_source import MemorySource
from kpwatch.model.results import Matrix, Scalar, Vector
from kpwatch.promql.engine import Engine
from tests.promql.script import Load, read_script

if TYPE_CHECKING:
    from kpwatch.model.labels import Labels


def source_of(load: str, step: str = "1m") -> MemorySource:
    """Series in the notation of the test scripts: `name{label="value"} 1 2 _ 3+1x5`."""
    source = MemorySource()
    (command,) = read_script(f"load {step}\n" + "\n".join(line for line in load.splitlines() if line.strip()))
    assert isinstance(command, Load)
    for labels, items in command.series:
        points = [(number * command.step_ms, item) for number, item in enumerate(items) if isinstance(item, float)]
        source.add(labels, [time_ms for time_ms, _ in points], [value for _, value in points])
    return source


def at(load: str, query: str, minute: float = 0) -> dict[str, float] | float:
    """The answer of an instant query: a number, or values by labels as `a=1,b=2`."""
    value = Engine(source_of(load)).instant(query, round(minute * 60_000)).value
    if isinstance(value, Scalar):
        return value.value
    assert isinstance(value, Vector)
    return {short(labels): number for labels, number in value.samples}


def over(load: str, query: str, minutes: int) -> dict[str, dict[int, float]]:
    """The answer of a range query from minute 0 on: by labels, value by minute."""
    value = Engine(source_of(load)).range(query, 0, minutes * 60_000, 60_000).value
    assert isinstance(value, Matrix)
    return {
        short(series.labels): {
            time_ms // 60_000: number
            for time_ms, number in zip(series.timestamps_ms.tolist(), series.values.tolist(), strict=True)
        }
        for series in value.series
    }


def short(labels: Labels) -> str:
    """`__name__` first, then `label=value`, joined by commas."""
    return ",".join(value if name == "__name__" else f"{name}={value}" for name, value in labels)


def labelled(**labels: str) -> Labels:
    """Labels from keywords; `name` is the metric's name."""
    return make_labels({"__name__" if name == "name" else name: value for name, value in labels.items()})
