"""The same samples, the same queries: our engine and a real Prometheus give the same numbers.

The samples are a recorded kube-proxy seen as three nodes (one ends with staleness markers, one starts late) and a few
odd series. They lie 137 ms after a whole second and queries 500 ms after one, so that no sample is on a window's left
edge or on the lookback limit, where Prometheus 3 (and we) and Prometheus 2 differ on purpose.
"""

from __future__ import annotations

import math
import random
import re
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from kpwatch.base.errors import QueryError
from kpwatch.exposition.text import parse
from kpwatch.model.labels import make_labels
from kpwatch.model.memory_source import MemorySource
from kpwatch.model.numbers import STALE_NAN
from kpwatch.model.results import Matrix, Scalar, Vector
from kpwatch.promql.engine import Engine
from tests.parts import prometheus_3
from tests.real.prometheus import RealPrometheus, running_prometheus
from tests.real.sentences import Sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kpwatch.model.labels import Labels
    from kpwatch.model.results import QueryResult

pytestmark = [pytest.mark.real("prometheus"), pytest.mark.slow]

TOLERANCE = 1e-9
SCRAPE_MS = 5000
SCRAPES = 280
STEP_MS = 15_000

Series = dict["Labels", list[tuple[int, float]]]
Answer = dict["Labels", list[tuple[int, float]]]


class Both(NamedTuple):
    """Two engines over the same samples, of which the newest is at `end_ms`."""

    real: RealPrometheus
    ours: Engine
    end_ms: int
    major: int
    """Of the real one's version."""


def recorded(archive: Path, folder: Path) -> list[list[tuple[Labels, float]]]:
    """The scrapes of a recording, in order."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return [
        [(make_labels({"__name__": s.name, **dict(s.labels)}), s.value) for s in parse(path.read_bytes()).samples]
        for path in sorted(folder.rglob("*.metrics"))
    ]


def three_nodes(scrapes: list[list[tuple[Labels, float]]], first_ms: int) -> Series:
    """Node a is the recording; b is ten scrapes ahead and dies; c starts late, at other times within the second."""
    series: Series = {}
    for ident, ahead, begin, end, shift_ms in (
        ("a", 0, 0, SCRAPES, 0),
        ("b", 10, 0, 200, 2000),
        ("c", 3, 60, SCRAPES, 1000),
    ):
        target = {"ident": f"node-{ident}", "instance": f"10.0.0.{ahead}:10249", "job": "kube-proxy"}
        names: list[Labels] = []
        for number in range(begin, end):
            body = scrapes[min(number + ahead, len(scrapes) - 1)]
            time_ms = first_ms + number * SCRAPE_MS + shift_ms
            names = [make_labels({**dict(labels), **target}) for labels, _ in body]
            for labels, (_, value) in zip(names, body, strict=True):
                series.setdefault(labels, []).append((time_ms, value))
            series.setdefault(make_labels({"__name__": "up", **target}), []).append((time_ms, 1.0))
        if end < SCRAPES:
            for labels in names:
                series[labels].append((first_ms + end * SCRAPE_MS + shift_ms, STALE_NAN))
    return series


def odd_series(first_ms: int) -> Series:
    """What a kube-proxy does not have: resets, gaps, signs, NaN and infinities, a counter near zero."""
    random.seed(1)
    times_ms = [first_ms + number * SCRAPE_MS for number in range(SCRAPES)]
    counter, series = 0.0, {}
    resetting = []
    for number, time_ms in enumerate(times_ms):
        counter = 0.0 if number % 37 == 36 else counter + random.randrange(5)
        resetting.append((time_ms, counter))
    series["odd_resets_total"] = resetting
    series["odd_gaps"] = [(time_ms, random.gauss(0, 10)) for number, time_ms in enumerate(times_ms) if number % 7 < 3]
    series["odd_values"] = [
        (time_ms, random.choice([math.nan, math.inf, -math.inf, 0.0, -1.5, 2.5])) for time_ms in times_ms
    ]
    series["odd_steps"] = [(time_ms, float(number // 40)) for number, time_ms in enumerate(times_ms)]
    return {
        make_labels({"__name__": name, "kind": kind}): [(time_ms, value * factor) for time_ms, value in samples]
        for name, samples in series.items()
        for kind, factor in (("one", 1.0), ("two", 2.0))
    }


@pytest.fixture(scope="module", params=[2, 3])
def both(request: pytest.FixtureRequest, shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A Prometheus and an engine of ours with the same samples, the newest a minute ago."""
    path = prometheus_3() if request.param == 3 else None
    if request.param == 3 and path is None:
        pytest.skip("no Prometheus 3 here: KPWATCH_PROMETHEUS_3 may name one")
    folder = tmp_path_factory.mktemp("prometheus")
    scrapes = recorded(shared_dir / "captures" / "recording-1.36.3-iptables.tar.xz", folder / "recording")
    end_ms = int(time.time()) // 60 * 60_000 - 60_000
    first_ms = end_ms - SCRAPES * SCRAPE_MS + 137
    series = three_nodes(scrapes, first_ms) | odd_series(first_ms)
    source = MemorySource()
    for labels, samples in series.items():
        source.add(labels, [time_ms for time_ms, _ in samples], [value for _, value in samples])
    flags = ["--enable-feature=promql-experimental-functions,promql-delayed-name-removal"] if path else []
    with running_prometheus(folder, "--query.lookback-delta=5m", *flags, path=path) as real:
        real.write(series)
        major = int(real.get("status/buildinfo")["version"].split(".")[0])
        yield Both(real, Engine(source), end_ms, major)


BOARD, OTHERS = (
    [line for line in part.splitlines() if line and not line.startswith("#")]
    for part in (Path(__file__).parent / "queries.promql").read_text().split("\n\n")
)
RANGE_FUNCTIONS = [
    "rate", "increase", "delta", "irate", "idelta", "resets", "changes", "deriv", "avg_over_time", "min_over_time",
    "max_over_time", "sum_over_time", "count_over_time", "stddev_over_time", "stdvar_over_time", "last_over_time",
    "present_over_time",
]  # fmt: skip
METRICS = ["odd_resets_total", "odd_gaps", "odd_values", "odd_steps", "go_goroutines", "process_cpu_seconds_total"]
OVER_WINDOWS = [
    f"{function}({metric}[{window}])"
    for function in RANGE_FUNCTIONS
    for metric in METRICS
    for window in ("1m", "7m30s")
]

RENAMED_SINCE_2 = {"holt_winters": "double_exponential_smoothing"}

HALF_A_DISTANCE = (
    "where samples begin more than 1.1 sample distances after a window's start, 3 stretches a counter by half a "
    "distance at most, 2 as far as its zero"
)
CHANGED_IN_3 = [
    (r"(rate|increase)\(", True, f"{HALF_A_DISTANCE}: the same where every series began before every window"),
    (r"(rate|increase)\(odd_gaps", False, f"{HALF_A_DISTANCE}: here in every window, as the samples have gaps"),
    ("atan2", False, "2 keeps the metric's name"),
]
"""What Prometheus 3 answers otherwise than 2: in which queries, whether a late part is still the same, and why."""

WHOLE_MS, LATE_MS = 1_500_000, 600_000


def as_answer(data: dict[str, object]) -> Answer:
    """The API's JSON as labels to points in milliseconds."""
    result = data["result"]
    assert isinstance(result, list)
    if data["resultType"] == "scalar":
        return {(): [_point(result)]}
    return {
        make_labels(series["metric"]): [_point(point) for point in series.get("values") or [series["value"]]]
        for series in result
    }


def _point(point: list[object]) -> tuple[int, float]:
    seconds, text = point
    return round(float(str(seconds)) * 1000), float(str(text))


def our_answer(value: object) -> Answer:
    """A result of ours in the same form."""
    match value:
        case Scalar():
            return {(): [(value.timestamp_ms, value.value)]}
        case Vector():
            return {labels: [(value.timestamp_ms, number)] for labels, number in value.samples}
        case Matrix():
            return {
                series.labels: list(zip(series.timestamps_ms.tolist(), series.values.tolist(), strict=True))
                for series in value.series
            }
    raise AssertionError(value)


def difference(real: Answer, ours: Answer) -> str | None:
    """The first thing that is not equal, or None."""
    if real.keys() != ours.keys():
        only_there, only_here = sorted(real.keys() - ours.keys()), sorted(ours.keys() - real.keys())
        return f"series: only there {only_there[:3]}, only here {only_here[:3]}"
    for labels, points in real.items():
        if [time_ms for time_ms, _ in points] != [time_ms for time_ms, _ in ours[labels]]:
            return f"{labels}: {len(points)} points there, {len(ours[labels])} here"
        for (time_ms, there), (_, here) in zip(points, ours[labels], strict=True):
            same = there == here or (math.isnan(there) and math.isnan(here))
            if not same and not math.isclose(there, here, rel_tol=TOLERANCE, abs_tol=1e-300):
                return f"{labels} at {time_ms}: {there!r} there, {here!r} here"
    return None


def comparable_ms(both: Both, query: str) -> int:
    """How far back from the end this Prometheus answers `query` as Prometheus 3 does; 0: nowhere."""
    changes = [late for pattern, late, _ in CHANGED_IN_3 if both.major < 3 and re.search(pattern, query)]
    if not changes:
        return WHOLE_MS
    return LATE_MS if all(changes) else 0


@pytest.mark.parametrize("query", BOARD + OTHERS + OVER_WINDOWS)
def test_a_query_gives_the_same_numbers(query: str, both: Both) -> None:
    """At three instants, and over a range from before the data begins to after node b is gone."""
    back_ms = comparable_ms(both, query)
    if not back_ms:
        return
    ours = query
    for old, new in RENAMED_SINCE_2.items():
        ours = ours.replace(old, new)
    query = query if both.major < 3 else ours
    for instant_ms in (0, back_ms // 5 + 7000, back_ms // 2):
        at_ms = both.end_ms - instant_ms + 500
        there = as_answer(both.real.get("query", query=query, time=at_ms / 1000))
        _check(there, both.ours.instant(ours, at_ms).value)
    start_ms, end_ms = both.end_ms - back_ms + 500, both.end_ms + 500
    there = as_answer(
        both.real.get("query_range", query=query, start=start_ms / 1000, end=end_ms / 1000, step=STEP_MS / 1000)
    )
    _check(there, both.ours.range(ours, start_ms, end_ms, STEP_MS).value)
    if query in BOARD and "verb=" not in query and "code=" not in query:
        assert there, "a dashboard query without an answer compares nothing"


def _check(there: Answer, ours: object) -> None:
    found = difference(there, our_answer(ours))
    if found is not None:
        pytest.fail(found, pytrace=False)


RANDOM_QUERIES = 400
NOT_DEFINED = [
    (r"topk|bottomk|limitk", "which of equal values is chosen depends on the order in which a store gives its series"),
    (
        r"month|year|day_of|hour|minute",
        "the date of NaN and of infinities is what a processor makes of them as integers",
    ),
    (r"count_values", "a value that differs in its last digit is another label"),
]
"""What no two Prometheis need to agree in: patterns of queries, and why."""

DIFFERENT = [
    (2, r"predict_linear\(.*@", "2 evaluates it at the steps only where samples are near, 3 at all"),
    (2, r"stddev|stdvar", "of one infinity or NaN: 0 in 2, NaN in 3"),
    (3, r"[=<>!]", "a comparison gives a name back that its left side had lost, if names are dropped at the end"),
]
"""Answers that differ on purpose: of which version, in which queries, and why."""

SAME_LABELSET = "vector cannot contain metrics with the same labelset"
"""2 drops names at once and fails; with names dropped at the end (3, and we) there is an answer."""


def test_random_queries_give_the_same_answers(both: Both) -> None:
    """Of every function and operator: numbers and failures; of version 3 also annotations and windows' edges."""
    generator = random.Random(both.major)
    sentences = Sentences(generator, both.major)
    edges_ms = (500,) if both.major < 3 else (500, 137, 5137)
    found, compared = [], 0
    for query in dict.fromkeys(sentences.query() for _ in range(RANDOM_QUERIES)):
        back_ms = comparable_ms(both, query)
        if not back_ms or any(re.search(pattern, query) for pattern, _ in NOT_DEFINED):
            continue
        end_ms = both.end_ms + generator.choice(edges_ms)
        at_ms = end_ms - generator.randrange(0, back_ms // 2, 5000)
        compared += 1
        for how, parameters, ours in (
            ("query", {"time": at_ms / 1000}, lambda at_ms=at_ms: both.ours.instant(query, at_ms)),  # noqa: B023
            (
                "query_range",
                {"start": (end_ms - back_ms) / 1000, "end": end_ms / 1000, "step": STEP_MS / 1000},
                lambda back_ms=back_ms, end_ms=end_ms: both.ours.range(query, end_ms - back_ms, end_ms, STEP_MS),  # noqa: B023
            ),
        ):
            reason = _disagreement(both, both.real.answer(how, query=query, **parameters), ours)
            if reason and not any(both.major == major and re.search(pattern, query) for major, pattern, _ in DIFFERENT):
                found.append(f"{how} {query}: {reason}")
    assert found == []
    assert compared > RANDOM_QUERIES / 2


def _disagreement(both: Both, there: dict[str, Any], ours: Callable[[], QueryResult]) -> str | None:
    try:
        here = ours()
    except QueryError as error:
        return None if there["status"] == "error" else f"only we fail: {error}"
    if there["status"] == "error":
        is_known = both.major < 3 and SAME_LABELSET in there["error"]
        return None if is_known else f"only Prometheus fails: {there['error']}"
    if both.major >= 3:
        for kind, notes in (("warnings", here.warnings), ("infos", here.infos)):
            if sorted(there.get(kind, [])) != sorted(notes):
                return f"{kind} {there.get(kind)} there, {notes} here"
    return difference(as_answer(there["data"]), our_answer(here.value))
