"""Requests find their handlers, and whatever happens there becomes an answer."""

from __future__ import annotations

import asyncio

import pytest

from kpwatch.api.auth import Gate
from kpwatch.api.router import Route, Router
from kpwatch.base.asgi import Answer
from kpwatch.base.errors import BadQuery
from kpwatch.base.logs import Logger
from kpwatch.base.telemetry import Registry
from tests.unit.api.asgi import ask, call


class House:
    """A router over a few handlers, with what it counted and logged."""

    def __init__(self, gate: Gate | None = None) -> None:
        self.telemetry = Registry()
        self.said: list[str] = []
        routes = [
            Route(("GET", "HEAD"), "/api/v1/echo", self.echo),
            Route(("GET",), "/api/v1/label/{name}/values", self.echo),
            Route(("POST",), "/api/v1/body", self.body),
            Route(("GET",), "/api/v1/bad", self.bad),
            Route(("GET",), "/api/v1/broken", self.broken),
            Route(("GET",), "/-/healthy", self.echo),
        ]
        self.app = Router(routes, self.page, gate, self.telemetry, Logger(self.said.append))

    async def echo(self, request: object) -> Answer:
        return Answer(200, f"{request.path} {request.captured}".encode())

    async def body(self, request: object) -> Answer:
        return Answer(200, await request.body(10))

    async def page(self, _: object) -> Answer:
        return Answer(200, b"page")

    async def bad(self, _: object) -> Answer:
        raise BadQuery("no such thing")

    async def broken(self, _: object) -> Answer:
        raise ZeroDivisionError("inner workings")

    def count(self, path: str, status: str) -> float:
        wanted = (("path", path), ("status", status))
        samples = self.telemetry.samples()
        return sum(value for name, labels, value in samples if name.endswith("requests_total") and labels == wanted)


@pytest.mark.parametrize(
    ("method", "url", "status", "says"),
    [
        ("GET", "/api/v1/echo", 200, b"/api/v1/echo "),
        ("HEAD", "/api/v1/echo", 200, b"/api/v1/echo "),
        ("POST", "/api/v1/echo", 405, b"/api/v1/echo takes GET, HEAD\n"),
        ("DELETE", "/", 405, b"/ takes GET, HEAD\n"),
        ("GET", "/api/v1/label/job/values", 200, b"/api/v1/label/job/values job"),
        ("GET", "/api/v1/label//values", 404, b"not_found"),
        ("GET", "/api/v1/label/a/b/values", 404, b"not_found"),
        ("GET", "/api/v1/nothing", 404, b"not_found"),
        ("GET", "/prometheus/nothing", 404, b"not_found"),
        ("GET", "/any/page", 200, b"page"),
        ("GET", "/api/v1/bad", 400, b"no such thing"),
        ("GET", "/api/v1/broken", 500, b"internal"),
    ],
)
def test_answers(method: str, url: str, status: int, says: bytes) -> None:
    """Every way a request can end."""
    reply = ask(House().app, method, url)
    assert reply.status == status
    assert says in reply.body
    if status == 405:
        assert "GET" in reply.headers["allow"]


def test_a_mistake_is_logged_and_counted_not_told() -> None:
    """The stack is for the log."""
    house = House()
    assert b"workings" not in ask(house.app, "GET", "/api/v1/broken").body
    assert "ZeroDivisionError: inner workings" in house.said[0]
    assert house.count("/api/v1/broken", "500") == 1


def test_a_body_over_the_limit_is_not_read_on() -> None:
    """413, whatever its Content-Length says."""
    house = House()
    assert ask(house.app, "POST", "/api/v1/body", [b"12345", b"67890"]).body == b"1234567890"
    assert ask(house.app, "POST", "/api/v1/body", [b"12345"] * 3).status == 413


def test_nobody_is_answered_who_went_away() -> None:
    """A connection that ends in the middle of a body is counted as 499."""
    house = House()
    assert asyncio.run(call(house.app, "POST", "/api/v1/body", b"12", goes_away=True)) is None
    assert house.count("/api/v1/body", "499") == 1


def test_the_gate_stands_before_everything_but_the_probes() -> None:
    """Pages, the API and unknown URLs need a secret; /-/healthy does not."""
    house = House(Gate({"ann": "secret"}, Registry()))
    for url in ("/", "/api/v1/echo", "/api/v1/nothing"):
        reply = ask(house.app, "GET", url)
        assert reply.status == 401
        assert reply.headers["www-authenticate"].startswith("Basic ")
    assert ask(house.app, "GET", "/-/healthy").status == 200
    assert ask(house.app, "GET", "/api/v1/echo", headers={"Authorization": "Bearer secret"}).status == 200
