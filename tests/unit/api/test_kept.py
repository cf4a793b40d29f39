"""An answer that is given again is the one that would be made anew."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpwatch.api.kept import ENTRY_BYTES, SHARE_MAX, KeptAnswers
from kpwatch.api.query import QueryApi
from kpwatch.api.workers import Workers
from kpwatch.base.asgi import Answer, Request
from kpwatch.base.telemetry import Registry
from kpwatch.model.matchers import Matcher
from kpwatch.promql.engine import Engine, EngineOptions
from tests.clocks import MovedClock
from tests.unit.store.samples import T0, frame, layout, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kpwatch.store.database import Store

ROOM_BYTES = 1 << 20
EVERY_NODE = Matcher("job", "=", "kube-proxy")
SHAPES = (layout(*range(6)), layout(0, 3), layout(1, 2, 7, 9))
QUESTIONS = (
    ("query", "m0", 10),
    ("query", "sum by (ident) (m0 offset 8ms)", 30),
    ("query", "count_over_time(m1[6ms])", 25),
    ("query", "m0 @ 1700000000.005", 40),
    ("query", "1 + 1", 0),
    ("query_range", "sum(max_over_time(m0[4ms]))", 20),
    ("query_range", "absent(m2)", 40),
)
"""(URL, expression, milliseconds after T0 at which it ends)."""


@dataclass
class Scene:
    """A store and the API over it."""

    store: Store
    api: QueryApi
    telemetry: Registry
    runner: asyncio.Runner

    def ask(self, path: str, query: str, at: int, **more: object) -> object:
        """The data of an answer, whatever order its series have."""
        end = (T0 + at) / 1000
        times = {"time": end} if path == "query" else {"start": (T0 - 5) / 1000, "end": end, "step": 0.003}
        text = urlencode({"query": query, "lookback_delta": "5ms", **times, **more})

        async def receive() -> dict:
            return {"type": "http.request"}

        scope = {"type": "http", "method": "GET", "path": path, "query_string": text.encode(), "headers": []}
        answer = self.runner.run((self.api.instant if path == "query" else self.api.range)(Request(scope, receive)))
        result = json.loads(answer.body)["data"]["result"]
        return sorted(result, key=json.dumps)

    def counts(self) -> dict[str, float]:
        return {
            dict(labels)["answer"]: value
            for name, labels, value in self.telemetry.samples()
            if name == "kpwatch_hub_kept_answers_total"
        }


@contextmanager
def scene(folder: Path, clock: MovedClock | None = None, **options: object) -> Iterator[Scene]:
    telemetry, clock = Registry(), clock or MovedClock(T0 / 1000)
    with opened(folder, clock, **options) as store, asyncio.Runner() as runner:
        workers = Workers(1, 8, 60, telemetry)

        def engine(seconds: float, source: object = None) -> Engine:
            return Engine(source or store, EngineOptions(timeout_seconds=seconds), clock)

        kept = KeptAnswers(store, ROOM_BYTES, telemetry)
        yield Scene(store, QueryApi(engine, workers, clock, kept=kept), telemetry, runner)
        workers.close()


def scrape(store: Store, at: int, node: int = 0, shape: int = 0) -> None:
    values = [at * 10.0 + number for number in range(len(SHAPES[shape].columns))]
    store.append([frame(node, SHAPES[shape], T0 + at, values)]).result(60)


ACTIONS = st.one_of(
    st.tuples(st.just("scrape"), st.integers(0, 40), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.just("delete"), st.integers(0, 20), st.integers(20, 40)),
    st.tuples(st.sampled_from(["seal", "merge", "age"])),
)


@given(actions=st.lists(ACTIONS, min_size=3, max_size=8))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_always_what_is_evaluated_anew(tmp_path_factory: pytest.TempPathFactory, actions: list[tuple]) -> None:
    """Whatever happens in between: samples, late ones, replaced ones, new targets, deletions, blocks, ageing."""
    clock = MovedClock(T0 / 1000 + 60)
    with scene(tmp_path_factory.mktemp("store"), clock, retention_seconds=60) as here:
        for action in actions:
            match action:
                case "scrape", at, node, shape:
                    scrape(here.store, at, node, shape)
                case "delete", start, end:
                    here.store.delete([[Matcher("le", "=", "3")]], T0 + start, T0 + end).result(60)
                case ("age",):
                    clock.advance(0.007)
                    here.store.maintain()
                case ("merge",):
                    here.store.compact()
                case _:
                    here.store.seal()
            for question in QUESTIONS:
                assert here.ask(*question) == here.ask(*question, nocache=1)


@pytest.mark.parametrize(
    ("happens", "found"),
    [
        pytest.param(lambda _: None, True, id="nothing"),
        pytest.param(lambda store: scrape(store, 21), True, id="a later sample"),
        pytest.param(lambda store: scrape(store, 21, 1, 2), True, id="a later sample of a new target"),
        pytest.param(lambda store: scrape(store, 20), False, id="a sample at the end"),
        pytest.param(lambda store: scrape(store, 3, 1), False, id="a late sample"),
        pytest.param(lambda store: store.seal(), True, id="a block is made"),
        pytest.param(lambda store: store.delete([[EVERY_NODE]], T0, T0 + 50).result(60), False, id="deletion"),
    ],
)
def test_what_makes_an_answer_outdated(tmp_path: Path, happens: object, found: bool) -> None:
    """What lies in its stretch of time, and nothing else."""
    with scene(tmp_path) as here:
        scrape(here.store, 19)
        here.ask("query", "m0", 20)
        happens(here.store)
        here.ask("query", "m0", 20)
        assert here.counts() == {"found": found, "missed": 1, "outdated": not found}


@pytest.mark.parametrize("more", [{"stats": "all"}, {"nocache": 1}, {"time": ""}], ids=["stats", "nocache", "now"])
def test_what_is_never_given_again(tmp_path: Path, more: dict) -> None:
    """What is of this one evaluation, or of now; and who says so gets a new one."""
    with scene(tmp_path) as here:
        for _ in range(2):
            here.ask("query", "m0", 20, **more)
        assert not any(here.counts().values())


def test_other_questions_have_other_answers(tmp_path: Path) -> None:
    """Each parameter that makes the answer another makes the question another."""
    with scene(tmp_path) as here:
        scrape(here.store, 19, shape=1)
        scrape(here.store, 19, 1, shape=1)
        asked = (
            ("m0", 20, {}),
            ("m0", 21, {}),
            ("m0", 20, {"limit": 1}),
            ("m0", 20, {"lookback_delta": "1ms"}),
            ("m1", 20, {}),
        )
        answers = [here.ask("query", query, at, **more) for query, at, more in asked]
        assert [len(answer) for answer in answers] == [4, 4, 1, 0, 0]
        assert here.counts() == {"found": 0, "missed": len(asked), "outdated": 0}


def test_bounded(tmp_path: Path) -> None:
    """The least recently used goes first; one that would fill a quarter of the room is not kept."""
    with opened(tmp_path) as store:
        kept = KeptAnswers(store, SHARE_MAX * (ENTRY_BYTES + 10), Registry())
        for number in range(SHARE_MAX + 1):
            kept.put(number, Answer(200, b"x" * 10), kept.changes(), (0, 1))
            kept.find(0)
        assert [kept.find(number) is not None for number in range(3)] == [True, False, True]
        kept.put("large", Answer(200, b"x" * 11), kept.changes(), (0, 1))
        assert kept.find("large") is None
        assert kept._entries.weight == SHARE_MAX * (ENTRY_BYTES + 10)
