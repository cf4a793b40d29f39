"""kube-proxy's other pages are asked where they are, on a connection for each port; silence is news, not an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.loop import Loop
from kpwatch.scrape.health import HealthAnswer, HealthPages
from kpwatch.scrape.options import TargetOptions
from tests.servers import WAIT_SECONDS, Request, Server, closes, refused_port, response, serves

if TYPE_CHECKING:
    from pathlib import Path

PAGES = {
    "/healthz": b'{"lastUpdated":"2026-11-22T18:59:44Z"}',
    "/livez": b'{"lastUpdated":"2026-11-22T18:59:44Z"}',
    "/proxyMode": b"ipvs",
    "/configz": b"{}",
}


def page(request: Request) -> bytes:
    """One of a kube-proxy's pages."""
    return response(PAGES[request.target])


def asked(options: TargetOptions, times: int = 1) -> list[HealthAnswer]:
    """What the pages of a target say, asked so often."""
    errors: list[Exception] = []
    loop = Loop(errors.append)
    pages = HealthPages(options, loop)
    said: list[HealthAnswer] = []

    def done(answer: HealthAnswer) -> None:
        said.append(answer)
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


def values(answer: HealthAnswer) -> dict[str, float]:
    """Samples by name."""
    return {sample.name: sample.value for sample in answer.samples}


def test_all_pages_are_asked_where_they_are() -> None:
    """In turn on one kept connection for each port; credentials go to the metrics port only."""
    with Server(serves(page)) as metrics, Server(serves(page)) as health:
        options = TargetOptions(
            metrics.url("/metrics?x=y"), timeout_seconds=WAIT_SECONDS, health_url=health.url("/"), bearer_token="secret"
        )
        said = asked(options, times=3)
        assert [values(one) for one in said] == [
            {
                "kpwatch_healthz_up": 1,
                "kpwatch_healthz_status_code": 200,
                "kpwatch_healthz_last_updated_timestamp_seconds": 1795373984,
                "kpwatch_livez_up": 1,
                "kpwatch_livez_status_code": 200,
                "kpwatch_livez_last_updated_timestamp_seconds": 1795373984,
                "kpwatch_proxy_mode_info": 1,
                "kpwatch_config_info": 1,
            }
        ] * 3
        assert [request.target for request in metrics.requests] == ["/proxyMode", "/configz"] * 3
        assert [request.target for request in health.requests] == ["/healthz", "/livez"] * 3
        assert {request.headers.get("authorization") for request in metrics.requests} == {"Bearer secret"}
        assert {request.headers.get("authorization") for request in health.requests} == {None}
        assert (metrics.connections, health.connections) == (1, 1)


def test_the_clock_is_compared_with_the_middle_of_the_request() -> None:
    """A document whose currentTime is that of the request: no offset worth speaking of."""
    from datetime import UTC, datetime

    def now(_: Request) -> bytes:
        text = datetime.now(UTC).isoformat()
        return response(f'{{"lastUpdated":"{text}","currentTime":"{text}"}}'.encode())

    with Server(serves(now)) as health:
        options = TargetOptions("http://127.0.0.1:1/", timeout_seconds=WAIT_SECONDS, health_url=health.url(""))
        [said] = asked(options)
    assert abs(values(said)["kpwatch_clock_offset_seconds"]) < WAIT_SECONDS


def test_pages_that_do_not_answer() -> None:
    """One port refuses, one closes: that is said, once, of every page that can be missed."""
    with Server(closes) as metrics:
        health = f"http://127.0.0.1:{refused_port()}"
        options = TargetOptions(metrics.url(""), timeout_seconds=WAIT_SECONDS, health_url=health)
        assert [values(one) for one in asked(options)] == [{"kpwatch_healthz_up": 0, "kpwatch_livez_up": 0}]
        assert len(metrics.requests) == 1


def test_a_page_that_is_something_else_is_named() -> None:
    """What it is taken for is counted by whoever asked."""

    def wrong(request: Request) -> bytes:
        return response(PAGES[request.target] if request.target == "/configz" else b"<html>")

    with Server(serves(wrong)) as server:
        options = TargetOptions(server.url(), timeout_seconds=WAIT_SECONDS, health_url=server.url(""))
        [said] = asked(options)
    assert said.not_understood == ["/healthz", "/livez", "/proxyMode"]
    assert values(said)["kpwatch_healthz_up"] == 1


def test_a_token_that_cannot_be_read_asks_nobody(tmp_path: Path) -> None:
    """The metrics port's pages say nothing, the health port is asked as always."""
    with Server(serves(page)) as server:
        options = TargetOptions(
            server.url(),
            timeout_seconds=WAIT_SECONDS,
            health_url=server.url(""),
            bearer_token_file=str(tmp_path / "missing"),
        )
        [said] = asked(options)
        assert [request.target for request in server.requests] == ["/healthz", "/livez"]
    assert "kpwatch_proxy_mode_info" not in values(said)
