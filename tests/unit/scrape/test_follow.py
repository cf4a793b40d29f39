"""A target that redirects is followed, and credentials go to its own host only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.base.http import Url
from kpwatch.scrape.fetch import ScrapeError
from kpwatch.scrape.follow import REDIRECTS, _absolute
from tests.servers import Server, replies, response, serves
from tests.unit.scrape.test_target import Asking

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Request

SECRETS = {"username": "u", "password": "p", "headers": (("X-Key", "secret"),)}


def redirect(location: str, status: int = 302) -> bytes:
    """An answer that sends elsewhere."""
    return response(b"go away", status, Location=location)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_followed_on_the_same_server(status: int) -> None:
    """Over the same connection, credentials included, at every scrape from the URL as it is configured."""

    def answer(request: Request) -> bytes:
        return response(b"m 1\n") if request.target == "/there?a=b" else redirect("there?a=b", status)

    with Server(serves(answer)) as server, Asking(server.url("/metrics"), **SECRETS) as asking:
        asking.wait_for_outcomes(1)
        asking.advance(20)
        asking.wait_for_outcomes(2)
        assert [outcome.answer for outcome in asking.outcomes[:2]] == [b"m 1\n"] * 2
        assert [request.target for request in server.requests[:4]] == ["/metrics", "/there?a=b"] * 2
        assert all(request.headers["x-key"] == "secret" for request in server.requests)
        assert all("authorization" in request.headers for request in server.requests)
        assert server.connections == 1


def test_another_host_sees_no_secret() -> None:
    """`localhost` is another host than `127.0.0.1`; another port is not."""
    with Server(serves(lambda _: response(b"m 1\n"))) as there:
        for location, shown in ((there.url("/x"), True), (f"http://localhost:{there.port}/x", False)):
            there.requests.clear()
            with Server(serves(lambda _: redirect(location))) as server, Asking(server.url(), **SECRETS) as asking:  # noqa: B023
                asking.wait_for_outcomes(1)
                assert asking.outcomes[0].answer == b"m 1\n"
            assert [("x-key" in request.headers) for request in there.requests] == [shown]
            assert [("authorization" in request.headers) for request in there.requests] == [shown]


def test_not_for_ever() -> None:
    """After ten the scrape has failed."""
    with Server(serves(lambda _: redirect("/again"))) as server, Asking(server.url()) as asking:
        asking.wait_for_outcomes(1)
        answer = asking.outcomes[0].answer
        assert isinstance(answer, ScrapeError)
        assert answer.reason == "redirects"
        assert len(server.requests) == REDIRECTS + 1


@pytest.mark.parametrize("answer", [response(b"", 302), redirect("ftp://x/"), redirect("http://"), response(b"", 304)])
def test_what_leads_nowhere_is_the_answer(answer: bytes) -> None:
    """Its status is the reason."""
    with Server(serves(lambda _: answer)) as server, Asking(server.url()) as asking:
        asking.wait_for_outcomes(1)
        assert isinstance(asking.outcomes[0].answer, ScrapeError)
        assert asking.outcomes[0].answer.reason.startswith("http_30")


def test_a_token_that_is_gone_by_then(tmp_path: Path) -> None:
    """Fails this scrape and no other."""
    file = tmp_path / "token"
    file.write_text("t")

    def moves(_request: Request) -> bytes:
        file.unlink(missing_ok=True)
        return redirect("/there")

    with Server(serves(moves)) as server, Asking(server.url(), bearer_token_file=str(file)) as asking:
        asking.wait_for_outcomes(1)
        assert isinstance(asking.outcomes[0].answer, ScrapeError)
        assert asking.outcomes[0].answer.reason == "auth"
        assert not asking.target.busy


def test_the_way_back_is_a_fresh_one() -> None:
    """What a redirect led to is left again."""
    with Server(serves(lambda _: response(b"m 1\n"))) as there:
        answers = [redirect(there.url()), response(b"m 2\n")]
        with Server(replies(*answers)) as server, Asking(server.url()) as asking:
            asking.wait_for_outcomes(1)
            asking.advance(20)
            asking.wait_for_outcomes(2)
            assert [outcome.answer for outcome in asking.outcomes[:2]] == [b"m 1\n", b"m 2\n"]


@pytest.mark.parametrize(
    ("reference", "whole"),
    [
        ("https://other/x", "https://other/x"),
        ("//other:1/x", "http://other:1/x"),
        ("/x?y=1", "http://h:10/x?y=1"),
        ("x", "http://h:10/a/x"),
        ("?c=d", "http://h:10/a/b?c=d"),
    ],
)
def test_references(reference: str, whole: str) -> None:
    """As RFC 3986 has them."""
    assert _absolute(Url("http", "h", 10, "/a/b?q=/z"), reference) == whole
