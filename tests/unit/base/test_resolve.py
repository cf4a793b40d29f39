"""Host names become addresses without holding up the loop."""

from __future__ import annotations

import socket
import threading

import pytest

from kpwatch.base.loop import Loop
from kpwatch.base.resolve import Address, is_address, resolve


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


@pytest.mark.parametrize("host", ["no..host", "x" * 64 + ".example"])
def test_what_is_no_name_is_said_on_the_loops_thread(host: str) -> None:
    """A failed lookup is a reason that names the host, given where callbacks belong."""
    answer, thread = found_by(host)
    assert isinstance(answer, str)
    assert f"cannot resolve {host!r}" in answer
    assert thread is threading.main_thread()
