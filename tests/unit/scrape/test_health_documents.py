"""Every shape of kube-proxy's other pages becomes samples, on 503 as on 200; any other shape is said to be one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.http import Answer, Failure
from kpwatch.scrape.about import OwnSample
from kpwatch.scrape.health_documents import Reading, parse_time, read_config, read_healthz, read_livez, read_proxy_mode
from kpwatch.simulate.health import Family, Health, healthz, livez

if TYPE_CHECKING:
    from pathlib import Path

GONE = Failure("refused", "")
UP, CODE, UPDATED = (
    "kpwatch_healthz_up",
    "kpwatch_healthz_status_code",
    "kpwatch_healthz_last_updated_timestamp_seconds",
)
AT = 1_795_375_000.0

OLD = (
    '{"lastUpdated": "2026-11-22 19:22:11.56 +0000 UTC m=+9.92",'
    '"currentTime": "2026-11-22 19:22:12.5 +0000 UTC m=+9.93"%s}'
)
NEW = (
    '{"lastUpdated":"2026-11-22T18:59:44.0256Z","currentTime":"2026-11-22T18:59:44Z","nodeEligible":%s,"healthy":true,'
    '"status":{"IPv4":{"lastUpdated":"2026-11-22T18:59:41.5Z","healthy":true},'
    '"IPv6":{"lastUpdated":"2026-11-22T18:59:28Z","healthy":true}}}'
)

HEALTHZ = [
    # answer, samples: name and ip_family -> value
    (GONE, {UP: 0}),
    (Answer(200, {}, OLD.encode() % b""), {UP: 1, CODE: 200, UPDATED: 1795375331.56, "offset": 1795375332.5 - AT}),
    (
        Answer(503, {}, OLD.encode() % b', "nodeEligible": false'),
        {UP: 1, CODE: 503, UPDATED: 1795375331.56, "kpwatch_node_eligible": 0, "offset": 1795375332.5 - AT},
    ),
    (
        Answer(200, {}, NEW.encode() % b"true"),
        {
            UP: 1,
            CODE: 200,
            UPDATED + " IPv4": 1795373981.5,
            UPDATED + " IPv6": 1795373968,
            "kpwatch_node_eligible": 1,
            "offset": 1795373984 - AT,
        },
    ),
    (Answer(200, {}, b"ok"), {UP: 1, CODE: 200}),
    (Answer(200, {}, b"[" * 60_000), {UP: 1, CODE: 200}),
    (Answer(200, {}, b"[1]"), {UP: 1, CODE: 200}),
    (Answer(200, {}, b'{"status":5,"nodeEligible":"yes","currentTime":7}'), {UP: 1, CODE: 200}),
    (Answer(503, {}, b'{"status":{"IPv4":{}}}'), {UP: 1, CODE: 503}),
    (Answer(503, {}, b'{"lastUpdated":"0001-01-01T00:00:00Z"}'), {UP: 1, CODE: 503, UPDATED: 0}),
    (Answer(404, {}, b"404 page not found"), {UP: 1, CODE: 404}),
]

TIMES = [
    ("1970-01-01T00:00:00Z", 0),
    ("2026-11-22T18:59:44.025669433Z", 1795373984.025669433),
    ("2026-11-22T20:59:44+02:00", 1795373984),
    ("2026-11-22T13:29:44-05:30", 1795373984),
    ("2026-11-23 02:59:44.5 +0800 CST m=+15.52", 1795373984.5),
    ("2026-11-22 18:59:44 +0000 UTC", 1795373984),
    ("2024-02-29T12:00:00Z", 1709208000),
    ("0001-01-01 00:00:00 +0000 UTC", 0),
    ("yesterday", None),
    ("2026-13-01T00:00:00Z", None),
    ("2026-01-01T24:61:00Z", None),
    ("", None),
    (None, None),
    (17, None),
]

CONFIG = Answer(200, {}, b'{"kubeproxy.config.k8s.io":{"mode":"iptables"}}\n')

MODES = [
    (Answer(200, {}, b"iptables"), "iptables", True),
    (Answer(200, {}, b" nftables\n"), "nftables", True),
    (Answer(200, {}, b"<html>"), None, False),
    (Answer(200, {}, b"\xff"), None, False),
    (Answer(404, {}, b"iptables"), None, True),
    (GONE, None, True),
]


def named(reading: Reading) -> dict[str, float]:
    """Samples by their name and ip_family."""
    shown = {" ".join((one.name, *(value for _, value in one.labels))): one.value for one in reading.samples}
    assert len(shown) == len(reading.samples)
    return shown


@pytest.mark.parametrize(("answer", "expected"), HEALTHZ)
def test_healthz(answer: Answer | Failure, expected: dict[str, float]) -> None:
    """What can be read is said; a document that says no time of an update is not understood."""
    reading = read_healthz(answer, AT)
    wanted = {name.replace("offset", "kpwatch_clock_offset_seconds"): value for name, value in expected.items()}
    assert named(reading) == pytest.approx(wanted, abs=1e-6)
    assert reading.understood == (isinstance(answer, Failure) or any(name.startswith(UPDATED) for name in expected))


@pytest.mark.parametrize(("answer", "expected"), HEALTHZ)
def test_livez_says_the_same_of_itself(answer: Answer | Failure, expected: dict[str, float]) -> None:
    """Under its own names, without the clock; nothing where there is no such page."""
    reading = read_livez(answer)
    if not isinstance(answer, Failure) and answer.status == 404:
        assert reading == Reading([])
        return
    wanted = {name.replace("healthz", "livez"): value for name, value in expected.items() if name != "offset"}
    assert named(reading) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(("outcome", "mode", "understood"), MODES)
def test_proxy_mode(outcome: Answer | Failure, mode: str | None, understood: bool) -> None:
    """One of the modes there are, else nothing."""
    expected = [] if mode is None else [OwnSample("kpwatch_proxy_mode_info", (("mode", mode),), 1)]
    assert read_proxy_mode(outcome) == Reading(expected, understood)


def test_config() -> None:
    """A digest of what the page says; equal pages, equal digests; a page that is not there says nothing."""
    [sample] = read_config(CONFIG).samples
    [(label, digest)] = sample.labels
    assert (sample.name, label, len(digest), sample.value) == ("kpwatch_config_info", "sha256", 64, 1)
    assert read_config(CONFIG._replace(body=CONFIG.body.strip())).samples == [sample]
    assert read_config(CONFIG._replace(body=CONFIG.body.replace(b"ip", b"nf"))).samples != [sample]
    assert read_config(Answer(404, {}, b"404 page not found")) == read_config(GONE) == Reading([])
    assert read_config(Answer(200, {}, b"<html>")) == Reading([], understood=False)


@pytest.mark.parametrize(("text", "expected"), TIMES)
def test_times(text: object, expected: float | None) -> None:
    """Go's own form and RFC 3339, zones included."""
    assert parse_time(text) == (None if expected is None else pytest.approx(expected, abs=1e-6))


@given(st.integers(0, 4_102_444_800_000_000))
def test_times_are_those_of_the_calendar(microseconds: int) -> None:
    """Held against Python's own, from 1970 to 2100."""
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    assert parse_time(time.isoformat()) == pytest.approx(microseconds / 1e6, abs=1e-5)


@given(st.binary())
def test_garbage_is_not_understood(body: bytes) -> None:
    """And never an exception."""
    for read in (read_healthz, read_livez, read_proxy_mode, read_config):
        read(Answer(200, {}, body), AT)


@pytest.mark.parametrize("minor", [20, 27, 28, 32, 33, 36])
@pytest.mark.parametrize("healthy", [True, False])
def test_what_the_simulator_says(minor: int, healthy: bool) -> None:
    """The simulator writes these documents, this reads them: one pair, held together."""
    families = {"IPv4": Family(AT - 70, 30, healthy), "IPv6": Family(AT - 90, 10, True)}
    said = Health(minor, now=AT, age_seconds=100, eligible=True, families=families)
    status, body = healthz(said)
    samples = named(read_healthz(Answer(status, {}, body.encode()), AT))
    good = AT if healthy else AT - 70
    updated = {UPDATED + " IPv4": AT - 70, UPDATED + " IPv6": AT - 90} if minor >= 33 else {UPDATED: good}
    eligible = {"kpwatch_node_eligible": 1.0} if minor >= 28 else {}
    expected = {UP: 1, CODE: 200 if healthy else 503, "kpwatch_clock_offset_seconds": 0, **updated, **eligible}
    assert samples == pytest.approx(expected, abs=1e-5)
    alive = livez(said)
    assert (alive is None) == (minor < 28)


def test_every_captured_page(shared_dir: Path) -> None:
    """What real kube-proxies 1.20 to 1.36 answered, healthy and failing: everything is understood."""
    seen = 0
    for path in sorted((shared_dir / "captures").glob("*.endpoints.txt")):
        for page in path.read_text().split("### GET ")[1:]:
            url, _, rest = page.partition("\n")
            if not rest.startswith("HTTP/"):
                continue
            head, _, body = rest.partition("\n\n")
            answer = Answer(int(head.split(" ")[1]), {}, body.split("\n")[0].encode())
            reader = {":10256/healthz": read_healthz, ":10256/livez": read_livez, "proxyMode": read_proxy_mode}
            for end, read in reader.items():
                if url.endswith(end):
                    reading = read(answer, AT)
                    assert reading.understood, (path.name, url)
                    seen += 1
                    if answer.body.startswith(b"{"):
                        document = json.loads(answer.body)
                        families = document.get("status", {"": {}})
                        updated = [
                            one for one in reading.samples if one.name.endswith("last_updated_timestamp_seconds")
                        ]
                        assert len(updated) == len(families)
    assert seen > 100
