"""Limits of targets and series: what is over is left out and told, what is known goes on, nothing lasts of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import OverLimit
from kpwatch.base.telemetry import Registry
from tests.unit.store.samples import T0, everything, frame, layout, opened, remember

if TYPE_CHECKING:
    from pathlib import Path


def test_further_targets(tmp_path: Path) -> None:
    """Those that are known go on, in the same append too; the sentence names the target, the number and the option."""
    telemetry = Registry()
    model: dict = {}
    with opened(tmp_path, targets_max=2, telemetry=telemetry) as store:
        good = [frame(n, layout(0, 1), T0, [1, 2]) for n in (1, 2)]
        done = store.append([*good, frame(3, layout(0, 1), T0, [1, 2])])
        with pytest.raises(
            OverLimit, match=r'node-3", job="kube-proxy"} is new .* 2 targets already.*--max-targets'
        ) as told:
            done.result(60)
        assert (told.value.samples, told.value.overwritten) == (4, 0)
        assert str(told.value).endswith(": 2 samples are not stored, the other 4 are")
        more = [frame(n, layout(0, 1), T0 + 1, [1, 2]) for n in (1, 2)]
        assert store.append(more).result(60) == (4, 0)
        remember(model, [*good, *more])
        assert everything(store) == model
        assert store.status()["targets"] == 2
        counted = {name: value for name, _, value in telemetry.samples()}
        assert counted["kpwatch_store_over_limit_samples_total"] == 2
        assert counted["kpwatch_store_failed_appends_total"] == 0


def test_further_series_of_a_target(tmp_path: Path) -> None:
    """The first that fit are kept, known ones for ever; names over the limit get no number."""
    model: dict = {}
    with opened(tmp_path, series_per_target_max=3) as store:
        first = [frame(1, layout(0, 1), T0, [1, 2])]
        store.append(first).result(60)
        with pytest.raises(OverLimit, match=r'ident="node-1".*3 series already.*--max-series-per-target'):
            store.append([frame(1, layout(5, 0, 6, 7, 1), T0 + 1, [5, 0, 6, 7, 1])]).result(60)
        kept = [frame(1, layout(5, 0, 1), T0 + 1, [5, 0, 1])]
        other = [frame(2, layout(6, 7), T0 + 1, [6, 7])]
        store.append(other).result(60)
        remember(model, [*first, *kept, *other])
        assert everything(store) == model
        assert store.status()["columns"] == 5
        with pytest.raises(OverLimit):
            store.append([frame(1, layout(8, 9), T0 + 2, [8, 9])]).result(60)
        assert store.status()["columns"] == 5
    with opened(tmp_path, series_per_target_max=3) as store:
        assert everything(store) == model


def test_many_frames_of_one_commit_count_together(tmp_path: Path) -> None:
    """Whether they come in one append or in several."""
    with opened(tmp_path, series_per_target_max=4, targets_max=2, commit_wait_seconds=0.05) as store:
        waiting = [store.append([frame(1, layout(n), T0, [n]), frame(2, layout(n), T0, [n])]) for n in range(6)]
        failed = [done.exception(60) for done in waiting]
        assert [isinstance(error, OverLimit) for error in failed] == [False] * 4 + [True] * 2
        assert store.status()["series"] == 8


def test_no_limit(tmp_path: Path) -> None:
    """0, which is what a store has unless told."""
    with opened(tmp_path) as store:
        frames = [frame(n, layout(*range(50)), T0, range(50)) for n in range(50)]
        assert store.append(frames).result(60) == (2500, 0)
