"""Who passes the gate, and which auth files are taken."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from kpwatch.api.auth import WAITING, Gate
from kpwatch.api.auth_file import FileGate, read_auth_file
from kpwatch.base.asgi import Request
from kpwatch.base.errors import ConfigError, TooBusy, UsageError
from kpwatch.base.logs import Logger
from kpwatch.base.telemetry import Registry

if TYPE_CHECKING:
    from pathlib import Path


def basic(user: str, secret: str) -> str:
    return "Basic " + b64encode(f"{user}:{secret}".encode()).decode()


def passes(authorization: str, path: str = "/") -> bool:
    telemetry = Registry()
    gate = Gate({"ann": "s:e:c", "bob": "密码"}, telemetry)
    headers = [(b"authorization", authorization.encode("utf-8"))] if authorization else []
    scope = {"method": "GET", "path": path, "query_string": b"", "headers": headers}
    refusal = gate.refusal(Request(scope, None))
    refused = next(value for name, _, value in telemetry.samples() if "unauthenticated" in name)
    assert refused == (refusal is not None)
    return refusal is None


@pytest.mark.parametrize(
    ("authorization", "valid"),
    [
        (basic("ann", "s:e:c"), True),
        (basic("bob", "密码"), True),
        ("basic " + basic("ann", "s:e:c")[6:], True),
        ("Bearer s:e:c", True),
        ("bearer   s:e:c ", True),
        ("Bearer 密码", True),
        (basic("ann", "密码"), False),
        (basic("ann", ""), False),
        (basic("", "s:e:c"), False),
        ("Bearer ", False),
        ("Bearer ann", False),
        ("Basic not-base64!", False),
        ("Basic", False),
        ("Digest s:e:c", False),
        ("s:e:c", False),
        ("", False),
    ],
)
def test_credentials(authorization: str, valid: bool) -> None:
    """Basic with user and secret, Bearer with any user's secret, nothing else."""
    assert passes(authorization) is valid


HASHES = {user: PasswordHasher(1, 8, 1).hash(secret) for user, secret in (("ann", "s:e:c"), ("bob", "密码"))}


class Doors:
    """A gate with a plain and two hashed secrets, and a loop to ask it in."""

    def __init__(self) -> None:
        self.telemetry = Registry()
        self.gate = Gate({**HASHES, "cid": "plain"}, self.telemetry)

    def verifications(self) -> float:
        return next(value for name, _, value in self.telemetry.samples() if "verifications" in name)


def asked(authorization: str) -> Request:
    headers = [(b"authorization", authorization.encode())] if authorization else []
    return Request({"method": "GET", "path": "/", "query_string": b"", "headers": headers}, None)


@pytest.mark.parametrize(
    ("authorization", "user", "compared"),
    [
        (basic("ann", "s:e:c"), "ann", 1),
        (basic("bob", "密码"), "bob", 1),
        ("Bearer s:e:c", "ann", 2),
        ("Bearer 密码", "bob", 2),
        (basic("cid", "plain"), "cid", 0),
        ("Bearer plain", "cid", 0),
        (basic("ann", "密码"), "", 1),
        (basic("dan", "s:e:c"), "", 0),
        ("", "", 0),
    ],
)
def test_hashed_secrets(authorization: str, user: str, compared: int) -> None:
    """Compared once, with no more hashes than needed; asked again, whatever came of it is known."""
    doors = Doors()

    async def ask_thrice() -> None:
        for _ in range(3):
            assert (await doors.gate.decide(asked(authorization)) is None) is bool(user)
            assert doors.gate.knows(asked(authorization))

    asyncio.run(ask_thrice())
    assert doors.verifications() == compared
    assert [who for who in ("ann", "bob", "cid") if doors.gate.is_user(asked(authorization), who)] == [user] * bool(
        user
    )


def test_a_hash_is_no_secret() -> None:
    """Who reads the file cannot use what stands there."""
    doors = Doors()
    for authorization in (basic("ann", HASHES["ann"]), "Bearer " + HASHES["ann"]):
        assert asyncio.run(doors.gate.decide(asked(authorization))) is not None


def test_many_at_once_are_verified_once_and_bounded() -> None:
    """Connections of one sender wait for the first; more than may wait are told to come back."""

    def crowd(doors: Doors, all_of_them: list[str]) -> list[object]:
        async def ask() -> list[object]:
            waiting = (doors.gate.decide(asked(one)) for one in all_of_them)
            return await asyncio.gather(*waiting, return_exceptions=True)

        return asyncio.run(ask())

    doors = Doors()
    assert crowd(doors, [basic("ann", "s:e:c")] * WAITING) == [None] * WAITING
    assert doors.verifications() == 1
    outcomes = crowd(Doors(), [basic("ann", f"wrong {number}") for number in range(WAITING + 3)])
    assert sum(isinstance(one, TooBusy) for one in outcomes) == 3


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten, and verified again when it comes."""
    monkeypatch.setattr("kpwatch.api.auth.REMEMBERED", 2)
    doors = Doors()

    async def three_then_the_first() -> None:
        for secret in ("s:e:c", "x", "y"):
            await doors.gate.decide(asked(basic("ann", secret)))
        assert not doors.gate.knows(asked(basic("ann", "s:e:c")))
        assert doors.gate.knows(asked(basic("ann", "y")))

    asyncio.run(three_then_the_first())


def test_probes_pass() -> None:
    """Only these two paths."""
    assert passes("", "/-/ready")
    assert passes("", "/-/healthy")
    assert not passes("", "/-/healthy/x")


def test_a_file_with_comments(tmp_path: Path) -> None:
    """One user:secret a line; the secret may hold colons."""
    file = tmp_path / "users"
    file.write_text("# who\n\nann:s:e:c\n  bob:x  \n")
    assert read_auth_file(file) == {"ann": "s:e:c", "bob": "x"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ann", ":1: expected user:secret"),
        ("# x\nann:", ":2: expected user:secret"),
        (":x", ":1: expected user:secret"),
        ("ann:$argon2id$v=19$x", ":1: expected an argon2 hash as `$argon2id$v=19$m="),
        ("ann:x\nann:y", ":2: user 'ann' comes twice"),
        ("# nobody", "no user:secret line"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """File, line and rule."""
    file = tmp_path / "users"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_auth_file(file)
    assert f"{file}" in str(refused.value)
    assert sentence in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The file is named."""
    with pytest.raises(ConfigError, match=r"nowhere.*No such file"):
        read_auth_file(tmp_path / "nowhere")


def asks(gate: Gate, secret: str) -> bool:
    scope = {
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {secret}".encode())],
    }
    return asyncio.run(gate.decide(Request(scope, None))) is None


def replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def test_a_changed_file(tmp_path: Path) -> None:
    """New users pass and those who left do not, hashed or plain; nothing is read where nothing changed."""
    file, hasher, lines = tmp_path / "users", PasswordHasher(1, 8, 1), list[str]()
    file.write_text(f"ann:a\nbob:{hasher.hash('b')}\n")
    gate = FileGate(file, "", Registry(), Logger(write=lines.append))
    assert [asks(gate, secret) for secret in "abc"] == [True, True, False]
    gate.look()
    assert not lines
    replace(file, f"ann:c\nbob:{hasher.hash('d')}\n")
    gate.look()
    assert [asks(gate, secret) for secret in "abcd"] == [False, False, True, True]
    assert "was read again: 2 users" in lines[0]


@pytest.mark.parametrize("text", ["", "ann", "bob:b\n", None])
def test_a_changed_file_that_cannot_be_used(tmp_path: Path, text: str | None) -> None:
    """The users of before stay, the log says why, once; a good one later is taken up."""
    file, telemetry, lines = tmp_path / "users", Registry(), list[str]()
    file.write_text("ann:a\n")
    gate = FileGate(file, "ann", telemetry, Logger(write=lines.append))
    if text is None:
        file.unlink()
    else:
        replace(file, text)
    gate.look()
    gate.look()
    assert [asks(gate, secret) for secret in "ab"] == [True, False]
    assert len(lines) == 1
    assert "the users that were read before stay" in lines[0]
    assert [value for name, _, value in telemetry.samples() if "auth_file_refused" in name] == [1]
    replace(file, "ann:b\n")
    gate.look()
    assert [asks(gate, secret) for secret in "ab"] == [False, True]


def test_a_secret_that_left_while_it_was_verified() -> None:
    """What is found out of the hashes of before opens nothing."""
    gate = Gate({"ann": PasswordHasher(1, 8, 1).hash("a")}, Registry())
    scope = {"method": "GET", "path": "/", "query_string": b"", "headers": [(b"authorization", b"Bearer a")]}
    request = Request(scope, None)

    async def meanwhile() -> bool:
        deciding = asyncio.ensure_future(gate.decide(request))
        await asyncio.sleep(0)  # it has begun
        gate.admit({"bob": "b"})
        return await deciding is None

    assert not asyncio.run(meanwhile())
    assert gate.refusal(request) is not None


def test_the_admin_must_be_in_the_file(tmp_path: Path) -> None:
    """At the start too."""
    file = tmp_path / "users"
    file.write_text("ann:a\n")
    with pytest.raises(UsageError, match="no user 'admin'"):
        FileGate(file, "admin", Registry(), Logger())
