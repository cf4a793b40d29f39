"""Who passes the gate, and which auth files are taken."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from kpwatch.api.auth import Gate, read_auth_file
from kpwatch.base.asgi import Request
from kpwatch.base.errors import ConfigError
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
        ("ann:$argon2id$v=19$x", ":1: argon2 hashes are not supported yet"),
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
