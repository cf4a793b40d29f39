"""What a query may cost: hostile queries in a process of their own, whose memory is looked at."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kpwatch.base.clock import Clock
from kpwatch.base.errors import QueryError, QueryTimeout
from kpwatch.model.labels import make_labels
from kpwatch.model.source import Slice
from kpwatch.promql.engine import Engine, EngineOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpwatch.model.matchers import Matcher

MAX_SAMPLES = 1_000_000
DAY_MS = 86_400_000
BYTES_PER_SAMPLE = 64
"""A cell is 8 bytes; an operation holds some of its results and what it makes them of at once."""
ALLOWANCE_BYTES = 64 << 20
"""Slices on their way from the source, modules that are loaded late."""

TOO_LARGE, ANSWERED, FAILED, REFUSED = "QueryTooLarge", "answer", "QueryFailed", "BadQuery"
GROWING = "$0" * 700
X_GROWN = f'label_replace(m,"x","{GROWING}","job","x")'
MANY_JOBS, MANY_XS, MANY_YS = (",".join([f"'{name}'"] * 900) for name in ("job", "x", "y"))
HOSTILE = [
    ("sum_over_time(m[1d:1ms])", TOO_LARGE),
    ("sum_over_time(vector(1)[200y:1s])", TOO_LARGE),
    ("sum_over_time(sum_over_time(m[1h:1s])[1d:10s])", TOO_LARGE),
    ("m[1000y:1s]", REFUSED),
    ("m[290y:1s]", TOO_LARGE),
    ("many[1d]", TOO_LARGE),
    ('count_values("v", m[1d:1m] offset 1m)', REFUSED),
    ('count_values("v", m)', ANSWERED),
    ("many * on (job) group_left many", FAILED),
    ("many * on (i) group_left many", ANSWERED),
    ("-" * 50 + "many", ANSWERED),
    ("-" * 51 + "many", REFUSED),
    (
        f'label_replace(label_replace({X_GROWN},"y","{GROWING}","x","(.*)"),"z","{GROWING}","y","(.*)")',
        TOO_LARGE,
    ),
    (
        f'label_join(label_join(label_join(m,"x","",{MANY_JOBS}),"y","",{MANY_XS}),"z","",{MANY_YS})',
        TOO_LARGE,
    ),
    (f'label_replace(many,"x","$1","i","{"(a*)*" * 200}(.*)")', ANSWERED),
    ('label_replace(many,"x","$1","i","((a{1,100}){1,10}){1,9}b|(.*)")', FAILED),
    (f'{{__name__=~"{"(x+x+)+" * 100}y"}}', ANSWERED),
]
OVER_A_DAY = [
    ('count_values("v", m)', TOO_LARGE),
    ("many", TOO_LARGE),
    ("sum(rate(many[5m]))", TOO_LARGE),
    ("(many or many) or (many or many)", TOO_LARGE),
    ("few + on (i) few", ANSWERED),
]


class Endless:
    """Any number of series with a day of samples; `many` has 2,000, `few` 100, another name 200."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Slice]:
        """A hundred at a time."""
        name = next((one.value for one in matchers if one.name == "__name__" and one.op == "="), "m")
        times_ms = np.arange(max(start_ms, 0) // 15_000 * 15_000 + 15_000, min(end_ms, DAY_MS) + 1, 15_000)
        for first in range(0, {"many": 2000, "few": 100}.get(name, 200), 100):
            labels = [make_labels({"__name__": name, "i": str(first + i), "job": "x"}) for i in range(100)]
            if len(times_ms):
                yield Slice(labels, times_ms, np.random.default_rng(first).random((len(times_ms), 100)))

    def series(self, *_: object) -> list[object]:
        """Not asked for."""
        raise NotImplementedError

    label_names = label_values = series


def outcome(engine: Engine, query: str, *, over_a_day: bool) -> str:
    """What became of a query, in a word."""
    try:
        if over_a_day:
            engine.range(query, 0, DAY_MS, DAY_MS // 1440)
        else:
            engine.instant(query, DAY_MS)
    except QueryError as error:
        return type(error).__name__
    return ANSWERED


def main() -> None:
    """The process: outcomes, and by how much its memory grew at most."""
    engine = Engine(Endless(), EngineOptions(max_samples=MAX_SAMPLES))  # type: ignore[arg-type]
    engine.instant("1 + 1", 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = [outcome(engine, query, over_a_day=False) for query, _ in HOSTILE]
    outcomes += [outcome(engine, query, over_a_day=True) for query, _ in OVER_A_DAY]
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    print(json.dumps({"outcomes": outcomes, "grown": grown}))


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units")
def test_no_query_takes_more_memory_than_it_may() -> None:
    """Answered or refused with its reason, and the process is no larger than the option says."""
    code = "from tests.unit.promql.test_bounds import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert dict(zip(HOSTILE + OVER_A_DAY, told["outcomes"], strict=True)) == {
        (query, wanted): wanted for query, wanted in HOSTILE + OVER_A_DAY
    }
    assert told["grown"] < MAX_SAMPLES * BYTES_PER_SAMPLE + ALLOWANCE_BYTES


class Hasty(Clock):
    """A clock that goes on by a second whenever it is asked."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def monotonic_seconds(self) -> float:
        """A second later than before."""
        self._seconds += 1
        return self._seconds

    def unix_ms(self) -> int:
        """Not asked for."""
        raise NotImplementedError

    def unix_seconds(self) -> float:
        """Not asked for."""
        raise NotImplementedError


@pytest.mark.parametrize(
    "call",
    [
        "quantile_over_time(0.5, m[1d])", "stddev_over_time(m[1d])", "mad_over_time(m[1d])", "deriv(m[1d])",
        "predict_linear(m[1d], 1)", "ts_of_max_over_time(m[1d])", "double_exponential_smoothing(m[1d], 0.5, 0.5)",
    ],
)  # fmt: skip
def test_a_function_that_takes_long_looks_at_the_time(call: str) -> None:
    """Its windows are many and long: it ends between two of them, not after all of them."""
    engine = Engine(Endless(), EngineOptions(timeout_seconds=20), Hasty())  # type: ignore[arg-type]
    with pytest.raises(QueryTimeout, match="--query-timeout"):
        engine.range(call, 0, DAY_MS, DAY_MS // 1440)
