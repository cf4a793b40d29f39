"""The hub as an object: how `kpwatch up` and tests use it."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import ConfigError, QueryTimeout, UsageError
from kpwatch.base.logs import Logger
from kpwatch.hub import HubOptions, build
from kpwatch.receive.decode import Decoder
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.remote_write import v1

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kpwatch.hub import Hub

AT_MS = 1_795_374_456_000


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    built = build(HubOptions(tmp_path, port=0, retention_seconds=0))
    built.start()
    yield built
    built.stop()


def ask(hub: Hub, path: str) -> dict:
    with urllib.request.urlopen(hub.url + path, timeout=30) as answer:
        return json.load(answer)


def test_what_its_store_holds_is_answered(hub: Hub) -> None:
    """store, engine, url and telemetry are the same hub."""
    body = v1.encode_series(v1.encode_labels([("__name__", "m")]), [(AT_MS, 3.0)])
    hub.store.append(Decoder(ReceiveOptions()).decode(body).frames).result(timeout=30)
    assert hub.engine.instant("m", AT_MS).value.samples == [((("__name__", "m"),), 3.0)]
    assert ask(hub, f"/api/v1/query?query=m&time={AT_MS // 1000}")["data"]["result"][0]["value"][1] == "3"
    assert hub.url == f"http://127.0.0.1:{hub.port}"
    names = {name for name, _, _ in hub.telemetry.samples()}
    assert {"kpwatch_hub_http_requests_total", "kpwatch_store_samples_total"} <= names


def test_stopping_ends_the_queries_that_run(tmp_path: Path) -> None:
    """In the middle of its evaluation a query finds its time over."""
    hub = build(HubOptions(tmp_path, port=0))

    class StoppingSource:
        def select(self, *_: object) -> list:
            hub.stop()
            return []

    with pytest.raises(QueryTimeout):
        hub._engine(30, StoppingSource()).instant("m + m", AT_MS)


def test_stopping_frees_everything(tmp_path: Path) -> None:
    """Port and directory can be had again at once; stopping twice is stopping."""
    first = build(HubOptions(tmp_path, port=0))
    first.start()
    first.stop()
    second = build(HubOptions(tmp_path, port=first.port))
    second.start()
    second.stop()
    second.stop()


def test_a_port_in_use_leaves_nothing_open(hub: Hub, tmp_path: Path) -> None:
    """The other's port is an error; the directory can be had again at once."""
    options = HubOptions(tmp_path / "other", port=hub.port)
    for _ in range(2):
        with pytest.raises(ConfigError, match="Address already in use"):
            build(options).start()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_other_machines_need_a_word(host: str, tmp_path: Path) -> None:
    """Neither an auth file nor --allow-anonymous: refused before anything is opened."""
    with pytest.raises(UsageError, match="--allow-anonymous"):
        build(HubOptions(tmp_path, host, 0))
    assert list(tmp_path.iterdir()) == []


def test_allowing_anonymous_is_said(tmp_path: Path) -> None:
    """A warning in the log."""
    said: list[str] = []
    hub = build(HubOptions(tmp_path, "0.0.0.0", 0, allow_anonymous=True), log=Logger(said.append))
    hub.start()
    assert ask(hub, "/api/v1/labels")["status"] == "success"
    hub.stop()
    assert "everybody who reaches 0.0.0.0:0" in said[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.5.6.7"])
def test_loopback_addresses_need_none(host: str, tmp_path: Path) -> None:
    """This machine only."""
    hub = build(HubOptions(tmp_path, host, 0))
    try:
        hub.start()
    except ConfigError:
        pytest.skip(f"{host} cannot be had here")
    assert ask(hub, "/api/v1/labels")["status"] == "success"
    hub.stop()
