"""kube-proxy's other pages become samples; a page that does not answer is news, not an error."""

from __future__ import annotations

import pytest

from kpwatch.base.http import Answer, Failure
from kpwatch.base.loop import Loop
from kpwatch.scrape.encoder import OwnSample
from kpwatch.scrape.health import HealthPages, read_healthz, read_proxy_mode
from kpwatch.scrape.options import TargetOptions
from tests.servers import WAIT_SECONDS, Request, Server, closes, refused_port, response, serves

GONE = Failure("refused", "")

HEALTHZ = [
    (Answer(200, {}, b"{}"), {"kpwatch_healthz_up": 1, "kpwatch_healthz_status_code": 200}),
    (Answer(503, {}, b"{}"), {"kpwatch_healthz_up": 1, "kpwatch_healthz_status_code": 503}),
    (GONE, {"kpwatch_healthz_up": 0}),
]

MODES = [
    (Answer(200, {}, b"iptables"), "iptables"),
    (Answer(200, {}, b" nftables\n"), "nftables"),
    (Answer(200, {}, b"<html>"), None),
    (Answer(200, {}, b"\xff"), None),
    (Answer(404, {}, b"iptables"), None),
    (GONE, None),
]


@pytest.mark.parametrize(("outcome", "expected"), HEALTHZ)
def test_healthz(outcome: Answer | Failure, expected: dict[str, float]) -> None:
    """Whether it answers, and what."""
    assert {sample.name: sample.value for sample in read_healthz(outcome)} == expected


@pytest.mark.parametrize(("outcome", "mode"), MODES)
def test_proxy_mode(outcome: Answer | Failure, mode: str | None) -> None:
    """One of the modes there are, else nothing."""
    expected = [] if mode is None else [OwnSample("kpwatch_proxy_mode_info", (("mode", mode),), 1)]
    assert read_proxy_mode(outcome) == expected


def asked(options: TargetOptions, times: int = 1) -> list[dict[str, float]]:
    """What the pages of a target say, asked so often."""
    errors: list[Exception] = []
    loop = Loop(errors.append)
    pages = HealthPages(options, loop)
    said: list[dict[str, float]] = []

    def done(samples: list[OwnSample]) -> None:
        said.append({sample.name: sample.value for sample in samples})
        if len(said) == times:
            loop.stop()
        else:
            pages.ask(done)

    pages.ask(done)
    assert pages.busy
    loop.run()
    pages.close()
    loop.close()
    assert errors == []
    return said


def test_both_pages_are_asked_where_they_are() -> None:
    """/healthz of the health port, /proxyMode of the metrics port, each on a kept connection."""

    def page(request: Request) -> bytes:
        return response({"/healthz": b"{}", "/proxyMode": b"ipvs"}[request.target])

    with Server(serves(page)) as metrics, Server(serves(page)) as health:
        options = TargetOptions(metrics.url("/metrics?x=y"), timeout_seconds=WAIT_SECONDS, health_url=health.url("/"))
        said = asked(options, times=3)
        assert said == [{"kpwatch_healthz_up": 1, "kpwatch_healthz_status_code": 200, "kpwatch_proxy_mode_info": 1}] * 3
        assert [request.target for request in metrics.requests] == ["/proxyMode"] * 3
        assert [request.target for request in health.requests] == ["/healthz"] * 3
        assert (metrics.connections, health.connections) == (1, 1)


def test_pages_that_do_not_answer() -> None:
    """One is refused, one closes: that is said, once."""
    with Server(closes) as metrics:
        health = f"http://127.0.0.1:{refused_port()}"
        options = TargetOptions(metrics.url(""), timeout_seconds=WAIT_SECONDS, health_url=health)
        assert asked(options) == [{"kpwatch_healthz_up": 0}]
