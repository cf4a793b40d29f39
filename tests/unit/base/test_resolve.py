"""Host names become addresses without holding up the loop."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from kpwatch.base.loop import Loop
from kpwatch.base.resolve import Address, is_address, resolve
from tests.servers import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("fe80::1", True), ("localhost", False), ("1.2.3", False), ("", False)],
)
def test_is_address(host: str, expected: bool) -> None:
    """Only what needs no lookup is an address."""
    assert is_address(host) is expected


def found_by(host: str) -> tuple[list[Address] | str, threading.Thread]:
    """The answer for `host` and the thread it was given on."""
    errors: list[Exception] = []
    loop = Loop(errors.append)
    answers: list[tuple[list[Address] | str, threading.Thread]] = []

    def found(answer: list[Address] | str) -> None:
        answers.append((answer, threading.current_thread()))
        loop.stop()

    resolve(loop, host, 10249, found)
    if not answers:
        loop.run()
    loop.close()
    assert errors == []
    return answers[0]


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_an_address_is_itself(host: str, family: int) -> None:
    """One address, found at once."""
    answer, _ = found_by(host)
    assert isinstance(answer, list)
    assert [(found_family, address[:2]) for found_family, address in answer] == [(family, (host, 10249))]


def test_localhost_is_found() -> None:
    """At least one loopback address."""
    answer, _ = found_by("localhost")
    assert isinstance(answer, list)
    assert {address[0] for _, address in answer} <= {"127.0.0.1", "::1"}
    assert answer


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[bytes], threading.Event]]:
    """A name server that answers nobody before the event, and who was looked up."""
    asked: list[bytes] = []
    speak = threading.Event()

    def look_up(host: bytes, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        assert speak.wait(WAIT_SECONDS)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield asked, speak
    speak.set()


def test_a_name_is_looked_up_once_at_a_time(silent: tuple[list[bytes], threading.Event]) -> None:
    """Everybody who asks in the meantime gets the answer; who asks later has it looked up again."""
    asked, speak = silent
    errors: list[Exception] = []
    loop = Loop(errors.append)
    answers: list[list[Address] | str] = []

    def found(answer: list[Address] | str) -> None:
        answers.append(answer)
        if len(answers) in (3, 4):
            loop.stop()

    for _ in range(3):
        resolve(loop, "slow.example", 80, found)
    speak.set()
    loop.run()
    assert answers == [[(socket.AF_INET, ("192.0.2.1", 80))]] * 3
    assert asked == [b"slow.example"]
    resolve(loop, "slow.example", 80, found)
    loop.run()
    assert asked == [b"slow.example"] * 2
    loop.close()
    assert errors == []


def test_lookups_are_bounded(silent: tuple[list[bytes], threading.Event], monkeypatch: pytest.MonkeyPatch) -> None:
    """One name more than may be looked up at a time is refused, and the reason says why."""
    monkeypatch.setattr("kpwatch.base.resolve.MAX_LOOKUPS", 2)
    _, speak = silent
    loop = Loop(lambda _: None)
    answers: list[list[Address] | str] = []

    def found(answer: list[Address] | str) -> None:
        answers.append(answer)
        if len(answers) == 3:
            loop.stop()

    for number in range(3):
        resolve(loop, f"{number}.example", 80, found)
    (refused,) = answers
    assert "cannot resolve '2.example': 2 other names are being looked up" in refused
    speak.set()
    loop.run()
    loop.close()
    assert len(answers) == 3


@pytest.mark.parametrize("host", ["no..host", "x" * 64 + ".example"])
def test_what_is_no_name_is_said_on_the_loops_thread(host: str) -> None:
    """A failed lookup is a reason that names the host, given where callbacks belong."""
    answer, thread = found_by(host)
    assert isinstance(answer, str)
    assert f"cannot resolve {host!r}" in answer
    assert thread is threading.main_thread()
