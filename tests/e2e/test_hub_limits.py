"""Limits as options of the hub: 400 with target, number and limit; the rest of the request is on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.hub_scene import HubProcess, now_ms, series
from tests.e2e.test_hub_command import run

if TYPE_CHECKING:
    from pathlib import Path

AT_MS = now_ms() // 1000 * 1000


def one(name: str, node: str, **labels: str) -> bytes:
    """One sample of now."""
    return series({"__name__": name, "ident": node, **labels}, (AT_MS, 1.0))


def test_over_a_limit(tmp_path: Path) -> None:
    """Known series and targets go on in the same request; /metrics counts what was left out."""
    with HubProcess(tmp_path, "--max-targets", "2", "--max-series-per-target", "3") as hub, hub.client() as client:
        assert client.write(one("a", "n1") + one("a", "n2")).status == 204
        answer = client.write(b"".join(one(name, node) for name in "abcde" for node in ("n1", "n2", "n3")))
        assert answer.status == 400
        said = answer.body.decode()
        assert "which is the limit (--max-" in said
        assert "9 samples are not stored, the other 6 are" in said
        assert len(client.values("{ident!=''}", AT_MS / 1000)) == 6
        metrics = client.get("/metrics").body.decode()
        assert "kpwatch_store_over_limit_samples_total 9" in metrics
        assert client.write(one("a", "n1") + one("b", "n2")).status == 204


@pytest.mark.parametrize(
    ("option", "labels", "says"),
    [
        ("--max-labels-per-series=3", {"x": "1", "y": "2"}, "it has 4 labels, the limit is 3"),
        ("--max-label-name-bytes=10", {"elevenbytes": "1"}, "a label name has 11 bytes, the limit is 10"),
        ("--max-label-value-bytes=10", {"x": "y" * 11}, 'label "x" has 11 bytes, the limit is 10'),
    ],
)
def test_labels(tmp_path: Path, option: str, labels: dict[str, str], says: str) -> None:
    """The series, the number and the limit."""
    with HubProcess(tmp_path, option) as hub, hub.client() as client:
        answer = client.write(one("a", "n", **labels))
        assert answer.status == 400
        assert says in answer.body.decode()
        assert client.write(one("a", "n")).status == 204
        flags = client.get("/api/v1/status/flags").json()["data"]
        assert flags[option.partition("=")[0].removeprefix("--")] == option.partition("=")[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--max-targets", "-1"], "expected a whole number; 0 = no limit"),
        (["--max-label-name-bytes", "0"], "above 0"),
        (["--retention-size", "50"], "expected a size such as 512MB or 50GB"),
        (["--retention-size", "fifty"], "expected a size"),
    ],
)
def test_command_lines_that_cannot_be(arguments: list[str], says: str, tmp_path: Path) -> None:
    """Exit 2, what was expected."""
    ended = run("hub", "--data", str(tmp_path), *arguments)
    assert ended.returncode == 2
    assert says in ended.stderr
