"""`kpwatch backup` and `restore`: the same answers, from a copy made while the hub writes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.hub_scene import HubProcess, now_ms, series
from tests.e2e.test_hub_command import run
from tests.fault.test_store_damage import change, fill, flip_middle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.hub_scene import Client

BEGAN_MS = now_ms() // 60_000 * 60_000 - 3_600_000
SCRAPES = 60
NODES = 4
COLUMNS = 30

QUERIES = (
    "count({__name__=~'m.*'})",
    "m1",
    "m2{ident='n1'}",
    "sum by (ident) (rate(m3[5m]))",
    "topk(3, m4)",
    "histogram_quantile(0.9, sum by (le) (rate(m5[10m])))",
    "max_over_time(m6[30m]) - min_over_time(m6[30m])",
    "count_values('v', m7)",
    "m8 offset 10m",
    "absent(nothing)",
)
RANGES = ("m1", "rate(m2[5m])", "sum(m3)", "quantile by (job) (0.5, m4)")
OTHERS = (
    ("/api/v1/series", {"match[]": ["m1", "{ident='n2'}"]}),
    ("/api/v1/labels", {}),
    ("/api/v1/label/ident/values", {}),
    ("/api/v1/label/__name__/values", {"match[]": "{ident='n3'}"}),
    ("/prometheus/api/v1/query", {"query": "sum(m9)", "time": BEGAN_MS / 1000 + SCRAPES * 15}),
)


SILENCES = "/api/kpwatch/v1/silences"


def scrape(number: int) -> bytes:
    at = BEGAN_MS + number * 15_000
    return b"".join(
        series(
            {"__name__": f"m{column % 10}", "ident": f"n{node}", "job": "j", "le": str(column)},
            (at, number * column + node),
        )
        for node in range(NODES)
        for column in range(COLUMNS)
    )  # fmt: skip


def answers(client: Client) -> list[Any]:
    """Many answers about what was written before the copy was made."""
    end = BEGAN_MS / 1000 + SCRAPES * 15
    found = [client.get("/api/v1/query", query=q, time=end - back).json() for q in QUERIES for back in (0, 120, 555)]
    for step in (15, 47):
        over = {"start": end - 900, "end": end, "step": step}
        found += [client.get("/api/v1/query_range", query=query, **over).json() for query in RANGES]
    window = {"start": BEGAN_MS / 1000, "end": end}
    found += [client.get(path, **(window | parameters)).json() for path, parameters in OTHERS]
    return found


def test_the_same_answers(tmp_path: Path) -> None:
    """Backup of a hub that is written to, restore, another hub: every answer about the time before is the same."""
    data, copy, other = tmp_path / "data", tmp_path / "copy", tmp_path / "other"
    with HubProcess(data) as hub, hub.client() as client:
        (data / "quarantine").mkdir()
        (data / "quarantine" / "old.db").write_bytes(b"set aside")
        for number in range(SCRAPES):
            assert client.write(scrape(number)).status == 204
        done = threading.Event()

        def go_on() -> None:
            with hub.client() as second:
                number = SCRAPES + 100
                while not done.is_set():
                    assert second.write(scrape(number)).status == 204
                    number += 1

        writing = threading.Thread(target=go_on)
        writing.start()
        ended = run("backup", str(data), str(copy))
        done.set()
        writing.join()
        assert ended.returncode == 0, ended.stderr
        assert "sound" in ended.stdout
        expected = answers(client)
        hub.kill()
    assert sorted(path.name for path in copy.iterdir()) == ["quarantine", "samples.db"]
    ended = run("restore", str(copy), str(other))
    assert ended.returncode == 0, ended.stderr
    assert (other / "quarantine" / "old.db").read_bytes() == b"set aside"
    with HubProcess(other) as hub, hub.client() as client:
        assert answers(client) == expected
        assert all(answer["status"] == "success" for answer in expected)
        assert client.write(scrape(SCRAPES)).status == 204


def test_silences_are_in_it(tmp_path: Path) -> None:
    """What rules.db has goes with the samples, while the hub has it open; the restored hub has the same silences."""
    (tmp_path / "r.yml").write_text("groups: []")
    data, copy, other = tmp_path / "data", tmp_path / "copy", tmp_path / "other"
    rules = ("--rules", str(tmp_path / "r.yml"))
    silence = '{"matchers": [{"name": "instance", "value": "a"}], "endsAt": "2100-01-01T00:00:00Z"}'
    with HubProcess(data, *rules) as hub, hub.client() as client:
        made = client.request("POST", SILENCES, silence, {"Content-Type": "application/json"})
        assert made.status == 200
        assert run("backup", str(data), str(copy)).returncode == 0
        expected = client.get(SILENCES).json()
    assert sorted(path.name for path in copy.iterdir()) == ["rules.db", "samples.db"]
    assert run("restore", str(copy), str(other)).returncode == 0
    with HubProcess(other, *rules) as hub, hub.client() as client:
        assert client.get(SILENCES).json() == expected
        assert expected["data"]["silences"][0]["id"] == made.json()["data"]["silenceID"]


def test_damaged_states_of_alerts(tmp_path: Path) -> None:
    """A backup has the samples and says what it leaves out; a restore says how to do without them."""
    fill(tmp_path / "data")
    (tmp_path / "data" / "rules.db").write_bytes(b"no database " * 1000)
    ended = run("backup", str(tmp_path / "data"), str(tmp_path / "copy"))
    assert (ended.returncode, "rules.db is damaged (file is not a database)" in ended.stdout) == (1, True)
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["samples.db"]
    (tmp_path / "copy" / "rules.db").write_bytes(b"no database " * 1000)
    ended = run("restore", str(tmp_path / "copy"), str(tmp_path / "other"))
    assert (ended.returncode, "without that file" in ended.stdout) == (1, True)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["lock"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Neither a backup nor a data directory; the error names what is there."""
    fill(tmp_path / "data")
    assert run("backup", str(tmp_path / "data"), str(tmp_path / "copy")).returncode == 0
    for arguments in (("backup", "data", "copy"), ("restore", "copy", "data"), ("restore", "copy", "copy")):
        ended = run(arguments[0], *(str(tmp_path / name) for name in arguments[1:]))
        assert ended.returncode == 1
        assert "is not empty (" in ended.stderr
        assert "samples.db" in ended.stderr


def test_a_damaged_backup_is_not_restored(tmp_path: Path) -> None:
    """The damage is named, the directory stays empty and can be used."""
    fill(tmp_path / "data")
    run("backup", str(tmp_path / "data"), str(tmp_path / "copy"))
    change(tmp_path / "copy", "blocks body 1", flip_middle)
    ended = run("restore", str(tmp_path / "copy"), str(tmp_path / "other"))
    assert ended.returncode == 1
    assert "block 1" in ended.stdout
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["lock"]
    change(tmp_path / "copy", "blocks body 1", flip_middle)
    assert run("restore", str(tmp_path / "copy"), str(tmp_path / "other")).returncode == 0


def test_a_backup_of_damaged_data_says_so(tmp_path: Path) -> None:
    """Exit code 1; the copy is kept, for it may be the last one."""
    fill(tmp_path / "data")
    change(tmp_path / "data", "journal samples 22", flip_middle)
    ended = run("backup", str(tmp_path / "data"), str(tmp_path / "copy"))
    assert ended.returncode == 1
    assert "damaged: journal 22" in ended.stdout
    assert (tmp_path / "copy" / "samples.db").exists()


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_there_must_be_something(verb: str, tmp_path: Path) -> None:
    """A source without a store is named, and nothing is made."""
    ended = run(verb, str(tmp_path / "no"), str(tmp_path / "out"))
    assert ended.returncode == 1
    assert "holds no store" in ended.stderr
    assert list(tmp_path.iterdir()) == []
