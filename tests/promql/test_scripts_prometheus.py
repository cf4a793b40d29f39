"""The same scripts on a real Prometheus 3, where there is one: the judge is judged.

A script's samples lie at 1970, so every part of a script (from `clear` to `clear`) has a server of its own. Only evals
without native histograms are asked; their answers go through the comparison that ours go through.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kpwatch.base.errors import BadQuery, QueryFailed
from kpwatch.model.labels import make_labels
from kpwatch.model.results import Matrix, MatrixSeries, QueryResult, Scalar, String, Vector
from kpwatch.promql.parse import parse
from tests.parts import prometheus_3
from tests.promql.runner import Mismatch, check_answer
from tests.promql.script import NATIVE, Clear, Eval, Load, read_script
from tests.real.prometheus import RealPrometheus, running_prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.real("prometheus"), pytest.mark.slow]

DATA = Path(__file__).resolve().parent / "data"
FLAGS = ("--enable-feature=promql-experimental-functions,promql-delayed-name-removal", "--query.max-samples=10000")


def parts(text: str) -> Iterator[tuple[list[Load], list[Eval]]]:
    """What is loaded and asked between two `clear`."""
    loads: list[Load] = []
    evals: list[Eval] = []
    for command in [*read_script(text), Clear()]:
        if isinstance(command, Load):
            if evals:  # what was asked before must not see it
                yield list(loads), evals
                evals = []
            loads.append(command)
        elif isinstance(command, Eval):
            evals.append(command)
        else:
            if evals:
                yield loads, evals
            loads, evals = [], []


def _is_native(load: Load) -> bool:
    return load.with_nhcb or any(item == NATIVE for _, items in load.series for item in items)


def _is_refused_by_us(command: Eval) -> bool:
    """As experimental: there is nothing to compare."""
    try:
        parse(command.query)
    except BadQuery:
        return not command.expects("fail")
    return False


def _ask(real: RealPrometheus, command: Eval) -> QueryResult:
    """The server's answer as a result of ours; raises QueryFailed where it refuses."""
    if command.step_ms is None:
        document = real.answer("query", query=command.query, time=command.start_ms / 1000)
    else:
        document = real.answer(
            "query_range",
            query=command.query,
            start=command.start_ms / 1000,
            end=command.end_ms / 1000,
            step=command.step_ms / 1000,
        )
    if document["status"] == "error":
        raise QueryFailed(re.sub(r'^invalid parameter "query": ', "", document["error"]))
    kind, result = document["data"]["resultType"], document["data"]["result"]
    value: Scalar | String | Vector | Matrix
    if kind == "scalar":
        value = Scalar(command.start_ms, float(result[1]))
    elif kind == "string":
        value = String(command.start_ms, result[1])
    elif kind == "vector":
        value = Vector(command.start_ms, [(make_labels(one["metric"]), float(one["value"][1])) for one in result])
    else:
        value = Matrix(
            sorted(
                MatrixSeries(
                    make_labels(one["metric"]),
                    np.asarray([round(float(point[0]) * 1000) for point in one["values"]], np.int64),
                    np.asarray([float(point[1]) for point in one["values"]]),
                )
                for one in result
            )
        )
    return QueryResult(value, document.get("warnings", []), document.get("infos", []))


@pytest.mark.parametrize("path", sorted(DATA.glob("*.test")), ids=lambda path: path.stem)
def test_a_script_passes_on_prometheus_too(path: Path, tmp_path: Path) -> None:
    """So what our runner calls passed is what Prometheus answers."""
    server = prometheus_3()
    if server is None:
        pytest.skip("no Prometheus 3 here: KPWATCH_PROMETHEUS_3 may name one")
    failed = []
    for number, (loads, evals) in enumerate(parts(path.read_text())):
        if any(map(_is_native, loads)):
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        with running_prometheus(folder, *FLAGS, path=server) as real:
            series = {
                labels: [(place * load.step_ms, item) for place, item in enumerate(items) if isinstance(item, float)]
                for load in loads
                for labels, items in load.series
            }
            real.write({labels: samples for labels, samples in series.items() if samples})
            for command in evals:
                if any(NATIVE in items for _, items in command.series) or _is_refused_by_us(command):
                    continue
                try:
                    check_answer(command, lambda command=command: _ask(real, command))
                except (Mismatch, QueryFailed) as error:
                    failed.append(f"{path.name}:{command.line}: {command.query}: {error}")
    assert failed == []
