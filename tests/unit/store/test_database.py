"""The store against a dictionary: whatever is written, sealed, merged, reopened, the same samples come back."""

from __future__ import annotations

import tempfile
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpwatch.base.errors import BadInput, ConfigError, StoreClosed, StoreOverloaded
from kpwatch.base.telemetry import Registry
from kpwatch.model.frames import Frame, Layout
from kpwatch.model.labels import label_value, make_labels, metric_name
from kpwatch.model.matchers import Matcher, matches_all
from kpwatch.model.numbers import STALE_NAN
from kpwatch.store.database import Store, StoreOptions
from kpwatch.store.schema import FILE_NAME, connect_looker
from kpwatch.store.verify import Seen, verify
from tests.clocks import MovedClock
from tests.unit.store.samples import (
    FOREVER,
    T0,
    Model,
    between,
    bits_of,
    everything,
    frame,
    layout,
    opened,
    remember,
    silent,
    target,
    told,
)
from tests.unit.store.test_streams import words

if TYPE_CHECKING:
    from kpwatch.model.labels import Labels

shapes = [layout(*numbers) for numbers in ((0, 1, 2), (2, 1, 0), (0,), (1, 3), (0, 1, 2, 3, 4, 5), (5,))]
"""Few, so that frames overlap; two name the same columns in another order."""

timestamps = st.one_of(st.integers(0, 12).map(lambda n: T0 + n * 15_000), st.integers(0, T0), st.just(0))


@st.composite
def some_frames(draw: st.DrawFn) -> list[Frame]:
    made: list[Frame] = []
    for _ in range(draw(st.integers(1, 5))):
        shape = draw(st.sampled_from(shapes))
        count = len(shape.columns)
        bits = draw(st.lists(words, min_size=count, max_size=count))
        values = np.array(bits, np.int64).view(np.float64)
        made.append(Frame(target(draw(st.integers(1, 3))), shape, draw(timestamps), values))
    return made


QUESTIONS: tuple[tuple[Matcher, ...], ...] = (
    (),
    (Matcher("__name__", "=", "m1"),),
    (Matcher("ident", "=", "node-2"), Matcher("le", "!=", "0")),
    (Matcher("ident", "=~", "node-[13]"), Matcher("__name__", "=~", "m[02]")),
    (Matcher("le", "=", ""),),
    (Matcher("cluster", "=", ""), Matcher("le", "!~", "1|2")),
)


class Deletion(NamedTuple):
    """Series to delete, and of when."""

    selections: list[tuple[Matcher, ...]]
    start_ms: int
    end_ms: int


@st.composite
def some_deletions(draw: st.DrawFn) -> Deletion:
    selections = draw(st.lists(st.sampled_from(QUESTIONS), min_size=1, max_size=2))
    if draw(st.booleans()):
        return Deletion(selections, *FOREVER)
    return Deletion(selections, *sorted((draw(timestamps), draw(timestamps))))


steps = st.lists(
    some_frames()
    | some_frames()
    | some_deletions()
    | st.sampled_from(["seal", "seal", "compact", "maintain", "reopen", "reopen", "ask", "ask"]),
    min_size=1,
    max_size=14,
)


def check(store: Store, model: Model, start_ms: int, end_ms: int) -> None:
    """Every question, over everything and over a stretch."""
    for matchers in QUESTIONS:
        asked = {key: bits for key, bits in model.items() if matches_all(matchers, key[0])}
        assert everything(store, matchers) == asked
        assert told(store.select(matchers, start_ms, end_ms)) == between(asked, start_ms, end_ms)
        assert store.series(matchers, *FOREVER) == sorted({labels for labels, _ in asked})
        names = {name for labels, _ in asked for name, _ in labels}
        assert store.label_names(matchers, *FOREVER) == sorted(names)
        assert store.label_values("le", matchers, *FOREVER) == sorted({label_value(k, "le") for k, _ in asked} - {""})
        assert set(store.series(matchers, start_ms, end_ms)) >= {k for k, _ in between(asked, start_ms, end_ms)}


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=settings().max_examples * 2 // 5, deadline=None)
@given(steps, st.integers(0, 12), st.integers(0, 12), st.integers(2, 5))
def test_it_agrees_with_a_dictionary(plan: list[Any], first: int, last: int, seal_rows: int) -> None:
    """Any order of frames, times, layouts, targets, duplicates, odd bits; any seals, merges, deletions, restarts."""
    compare_with_dictionary(plan, first, last, seal_rows)


def compare_with_dictionary(plan: list[Any], first: int, last: int, seal_rows: int) -> int:
    """Do what `plan` says to a store and to a dictionary; gives how many samples were compared (see bench too)."""
    model: Model = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("kpwatch.store.maintenance.TRIM_ROWS", 4)
        patch.setattr("kpwatch.store.maintenance.TRIM_AT_ONCE", 3)
        patch.setattr("kpwatch.store.rewriting.STEP_SAMPLES", 2 * seal_rows)
        options = StoreOptions(Path(folder), retention_seconds=0, commit_wait_seconds=0, seal_rows=seal_rows)
        store = Store.open(options, Registry(), log=silent())
        try:
            for step in plan:
                if step == "reopen":
                    store.close()
                    store = Store.open(options, Registry(), log=silent())
                else:
                    apply(store, model, step)
            check(store, model, T0 + first * 15_000, T0 + last * 15_000)
            assert store.status()["quarantine"]["count"] == 0  # type: ignore[index]
        finally:
            store.close()
        path = Path(folder) / FILE_NAME
        with closing(connect_looker(path)) as connection:
            assert list(verify(connection, path, Seen(), lambda _: None)) == []
    return len(model) * len(QUESTIONS)


def apply(store: Store, model: Model, step: Any) -> None:
    """One step to both."""
    if step == "ask":  # what queries leave in memory is never wrong later
        for matchers in QUESTIONS:
            asked = {key: bits for key, bits in model.items() if matches_all(matchers, key[0])}
            assert everything(store, matchers) == asked
    elif isinstance(step, str):
        getattr(store, step)()
    elif isinstance(step, Deletion):
        gone = forget(model, step)
        deleted = store.delete(*step).result(60)
        assert deleted.series == len({labels for labels, _ in gone})
        assert deleted.samples >= len(gone), "those that others had replaced are counted too"
        assert store.series([], *FOREVER) == sorted({labels for labels, _ in model})
    else:
        overwritten = _overwritten(model, step)
        assert store.append(step).result(60) == (sum(len(f.values) for f in step), overwritten)
        remember(model, step)


def forget(model: Model, deletion: Deletion) -> set[tuple[Labels, int]]:
    """Delete from the model; which samples there were."""
    gone = {
        (labels, at)
        for labels, at in model
        if deletion.start_ms <= at <= deletion.end_ms
        and any(matches_all(matchers, labels) for matchers in deletion.selections)
    }
    for key in gone:
        del model[key]
    return gone


def _overwritten(model: Model, frames: list[Frame]) -> int:
    """How many samples of `frames` replace another, of the model or of the same append."""
    known = dict(model)
    count = 0
    for one in frames:
        before = len(known)
        remember(known, [one])
        count += len(one.values) - (len(known) - before)
    return count


def test_odd_names(tmp_path: Path) -> None:
    """UTF-8 in names and values, an empty target, 64 labels, NUL and quotes."""
    columns = (
        make_labels({"__name__": "节点.温度", "标签": 'a"b\\c\n\0'}),
        make_labels({"__name__": "x", **{f"label_{n}": str(n) for n in range(64)}}),
    )
    model: Model = {}
    for where in ((), make_labels({"cluster": "北京", "ident": "节点-1"})):
        frames = [Frame(where, Layout(columns), 0, np.array([1.0, 2.0]))]
        with opened(tmp_path) as store:
            store.append(frames).result(60)
        remember(model, frames)
    with opened(tmp_path) as store:
        assert everything(store) == model
        assert store.label_values("__name__", [], *FOREVER) == ["x", "节点.温度"]


def test_the_callers_buffer_is_its_own_again(tmp_path: Path) -> None:
    """`append` copies: what the caller writes over its array afterwards is not what is stored."""
    values = np.array([1.0, 2.0, 3.0])
    with opened(tmp_path) as store:
        done = store.append([frame(1, shapes[0], T0, [0])._replace(values=values)])
        values[:] = 9.0
        done.result(60)
        assert sorted(everything(store).values()) == [bits_of(1.0), bits_of(2.0), bits_of(3.0)]


def test_an_append_is_visible_when_its_future_is_done(tmp_path: Path) -> None:
    """At once, by every question, before and after it is sealed."""
    with opened(tmp_path, seal_rows=4) as store:
        for number in range(40):
            store.append([frame(1, shapes[0], T0 + number, [number] * 3)]).result(60)
            assert len(everything(store)) == 3 * (number + 1)


REFUSED = (
    ("too few values", lambda: frame(1, shapes[0], T0, [1.0])),
    ("float32", lambda: frame(1, shapes[2], T0, [1.0])._replace(values=np.array([1.0], np.float32))),
    ("a time beyond all clocks", lambda: frame(1, shapes[2], 1 << 60, [1.0])),
)


@pytest.mark.parametrize(("name", "make"), REFUSED)
def test_a_frame_that_cannot_be_stored_is_refused_at_once(tmp_path: Path, name: str, make) -> None:
    """BadInput from `append` itself; nothing of the append is stored."""
    with opened(tmp_path) as store:
        with pytest.raises(BadInput):
            store.append([frame(1, shapes[2], T0, [5.0]), make()])
        assert everything(store) == {}, name


def test_a_column_twice_in_a_layout_fails_only_its_own_append(tmp_path: Path) -> None:
    """All of that append, none of its neighbours in the same commit."""
    with opened(tmp_path, commit_wait_seconds=0.05) as store:
        good = store.append([frame(1, shapes[0], T0, [1, 2, 3])])
        bad = store.append([frame(2, shapes[0], T0, [1, 2, 3]), frame(1, layout(1, 1), T0, [1, 2])])
        with pytest.raises(BadInput, match="twice"):
            bad.result(60)
        assert good.result(60) == (3, 0)
        assert len(everything(store)) == 3


def test_the_queue_is_bounded(tmp_path: Path) -> None:
    """More bytes waiting than `queue_bytes`: StoreOverloaded at once; what was taken before is stored."""
    with opened(tmp_path, commit_wait_seconds=5.0, queue_bytes=5000) as store:
        taken = []

        def flood() -> None:
            while len(taken) < 100:
                taken.append(store.append([frame(1, shapes[0], T0 + len(taken), [1, 2, 3])]))

        with pytest.raises(StoreOverloaded, match="queue_bytes"):
            flood()
        assert 1 < len(taken) < 100
    assert all(done.result(0).samples == 3 for done in taken), "close commits what waits"


def test_after_close(tmp_path: Path) -> None:
    """Everything raises StoreClosed; closing twice is closing once."""
    with opened(tmp_path) as store:
        store.append([frame(1, shapes[0], T0, [1, 2, 3])]).result(60)
    store.close()
    for call in (lambda: store.append([]), lambda: everything(store), store.status, store.maintain):
        with pytest.raises(StoreClosed):
            call()


def test_one_store_a_directory(tmp_path: Path) -> None:
    """The second is told which directory, who holds it and how to find them; the first goes on."""
    with opened(tmp_path) as store:
        with pytest.raises(ConfigError, match=r"in use by process \d+.*fuser") as caught:
            Store.open(StoreOptions(tmp_path), Registry())
        assert str(tmp_path) in str(caught.value)
        store.append([frame(1, shapes[0], T0, [1, 2, 3])]).result(60)
    with opened(tmp_path) as store:
        assert len(everything(store)) == 3


def test_samples_older_than_the_retention_are_neither_answered_nor_kept(tmp_path: Path) -> None:
    """By the clock, from the moment they are too old; names without samples go with them."""
    clock = MovedClock(T0 / 1000)
    with opened(tmp_path, clock, retention_seconds=3600, seal_rows=2) as store:
        for number in range(8):
            clock.advance(60)
            store.append([frame(n, layout(n), clock.unix_ms(), [number]) for n in (1, 2)]).result(60)
        store.seal()
        clock.advance(3300)
        store.append([frame(1, layout(1), clock.unix_ms(), [8])]).result(60)
        assert len(everything(store)) == 13, "of eight samples of two nodes two are too old; one is new"
        clock.advance(3000)
        assert len(everything(store)) == 1
        store.maintain()
        assert [label_value(labels, "ident") for labels in store.series([], *FOREVER)] == ["node-1"]
        status = store.status()
        assert (status["targets"], status["columns"], status["series"]) == (1, 1, 1)
        assert status["blocks"]["count"] == 0  # type: ignore[index]
        assert len(everything(store)) == 1
        store.append([frame(3, layout(3), clock.unix_ms(), [9])]).result(60)
    with opened(tmp_path, clock, retention_seconds=3600) as store:
        assert len(everything(store)) == 2
        assert store.status()["quarantine"]["count"] == 0  # type: ignore[index]


def test_a_target_that_only_ever_had_few_samples_expires_too(tmp_path: Path) -> None:
    """Also from the journal, where few samples wait for more."""
    clock = MovedClock(T0 / 1000)
    with opened(tmp_path, clock, retention_seconds=3600) as store:
        store.append([frame(1, layout(1), clock.unix_ms(), [1.0])]).result(60)
        clock.advance(4000)
        store.maintain()
        assert store.status()["targets"] == 0
        assert store.status()["head"]["rows"] == 0  # type: ignore[index]


def test_a_late_sample_is_queryable_at_once_and_alone(tmp_path: Path) -> None:
    """One sample of 1970 among today's does not blow anything up."""
    with opened(tmp_path, seal_rows=3) as store:
        for number in range(10):
            store.append([frame(1, shapes[0], T0 + number, [1, 2, 3])]).result(60)
        store.append([frame(1, shapes[2], 0, [7.5])]).result(60)
        assert list(told(store.select([], 0, 0)).values()) == [bits_of(7.5)]
        store.seal()
        store.compact()
        assert list(told(store.select([], 0, 0)).values()) == [bits_of(7.5)]
        assert len(everything(store)) == 31


def test_staleness_markers_keep_their_bits(tmp_path: Path) -> None:
    """The evaluator tells them from other NaNs by their bits alone."""
    with opened(tmp_path, seal_rows=2) as store:
        for number, value in enumerate((1.0, STALE_NAN, STALE_NAN, 4.0)):
            store.append([frame(1, shapes[0], T0 + number, [value] * 3)]).result(60)
        store.seal()
        store.compact()
        assert sorted(set(everything(store).values())) == sorted({bits_of(1.0), bits_of(STALE_NAN), bits_of(4.0)})


def test_columns_of_one_scrape_come_as_one_slice(tmp_path: Path) -> None:
    """However the sender cut the scrape into requests, and whether it is sealed or not."""
    with opened(tmp_path, seal_rows=100) as store:
        for number in range(6):
            store.append([frame(1, layout(0, 1), T0 + number, [1, 2])]).result(60)
            store.append([frame(1, layout(2, 3, 4), T0 + number, [3, 4, 5])]).result(60)
        for _ in range(2):
            (found,) = store.select([], *FOREVER)
            assert found.values.shape == (6, 5)
            store.seal()


def test_readers_and_the_writer_at_once(tmp_path: Path) -> None:
    """While frames are appended, sealed and merged, no reader ever misses or doubles a sample that was acknowledged."""
    acknowledged = 0
    failures: list[str] = []
    done = threading.Event()

    def read(store: Store) -> None:
        while not done.is_set():
            low = acknowledged
            try:
                found = told(store.select([Matcher("__name__", "=", "m0")], *FOREVER))
            except AssertionError as error:
                failures.append(str(error))
                return
            if len(found) < low or {at - T0 for _, at in found} != set(range(len(found))):
                failures.append(f"{len(found)} of {low}")
                return

    with opened(tmp_path, seal_rows=3) as store:
        readers = [threading.Thread(target=read, args=(store,)) for _ in range(2)]
        for reader in readers:
            reader.start()
        for number in range(300):
            store.append([frame(1, shapes[0], T0 + number, [number] * 3)]).result(60)
            acknowledged = number + 1
            if number % 40 == 39:
                store.compact()
        done.set()
        for reader in readers:
            reader.join()
        assert failures == []


def test_status_counts_what_there_is(tmp_path: Path) -> None:
    """For /api/v1/status/tsdb, and the same in the metrics."""
    telemetry = Registry()
    with opened(tmp_path, telemetry=telemetry) as store:
        store.append([frame(n, shapes[0], T0 + n, [1, 2, 3]) for n in (1, 2)]).result(60)
        store.append([frame(1, shapes[2], T0 + 1, [1])]).result(60)
        status = store.status()
        assert (status["series"], status["targets"], status["columns"]) == (6, 2, 3)
        assert (status["minTime"], status["maxTime"]) == (T0 + 1, T0 + 2)
        assert status["head"]["rows"] == 3  # type: ignore[index]
        store.seal()
        assert store.status()["blocks"] | {"bytes": 0} == {"count": 2, "rows": 2, "samples": 6, "bytes": 0}  # type: ignore[operator]
        shown = {name: value for name, _, value in telemetry.samples()}
        assert shown["kpwatch_store_samples_total"] == 7
        assert shown["kpwatch_store_overwritten_samples_total"] == 1
        assert shown["kpwatch_store_sealed_blocks_total"] == 2
        assert shown["kpwatch_store_series"] == 6
        assert shown["kpwatch_store_disk_bytes"] > 0


def test_series_that_never_existed_are_not_answered(tmp_path: Path) -> None:
    """A column of one target and another target do not make a series."""
    with opened(tmp_path) as store:
        store.append([frame(1, layout(0), T0, [1]), frame(2, layout(1), T0, [1])]).result(60)
        assert [(label_value(s, "ident"), metric_name(s)) for s in store.series([], *FOREVER)] == [
            ("node-1", "m0"), ("node-2", "m1"),
        ]  # fmt: skip


def test_after_a_clean_close_the_directory_is_small(tmp_path: Path) -> None:
    """One block a target, no journal, no write-ahead log, no free pages."""
    with opened(tmp_path) as store:
        wide = layout(*range(400))
        for number in range(60):
            store.append([frame(n, wide, T0 + number * 15_000, range(400)) for n in (1, 2)]).result(60)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 100_000
    with opened(tmp_path) as store:
        assert store.status()["head"]["rows"] == 0  # type: ignore[index]
        assert store.status()["blocks"]["count"] == 2  # type: ignore[index]
        assert len(everything(store)) == 2 * 60 * 400
