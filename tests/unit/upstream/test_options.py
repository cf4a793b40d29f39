"""URLs of engines and headers for them, as people write them."""

from __future__ import annotations

import pytest

from kpwatch.base.errors import UsageError
from kpwatch.upstream.options import header, server_url, write_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://prometheus:9090", "http://prometheus:9090"),
        ("http://prometheus:9090/", "http://prometheus:9090"),
        ("https://mimir/prometheus", "https://mimir/prometheus"),
        ("https://mimir/prometheus/api/v1", "https://mimir/prometheus"),
        ("http://vmselect:8481/select/0/prometheus/api/v1/", "http://vmselect:8481/select/0/prometheus"),
        ("http://[::1]:9090", "http://[::1]:9090"),
    ],
)
def test_servers(text: str, url: str) -> None:
    """What stands before /api/v1."""
    assert server_url("--engine", text) == url


@pytest.mark.parametrize(
    "text",
    ["", "prometheus:9090", "ftp://a", "http://", "http://a:port", "http://a/?x=1", "http://a/#x", "http://[::1"],
)
def test_what_is_no_server(text: str) -> None:
    """The option is named."""
    with pytest.raises(UsageError, match="--engine"):
        server_url("--engine", text)


def test_passwords_do_not_stand_in_urls() -> None:
    """Nor in the error."""
    with pytest.raises(UsageError, match="--engine-basic-auth-file") as refused:
        server_url("--engine", "http://u:secret@host")
    assert "secret" not in str(refused.value)


def test_write_urls_keep_their_query() -> None:
    """VictoriaMetrics takes labels there."""
    assert write_url("--engine-write", "http://vm/api/v1/write?extra_label=a=b").endswith("?extra_label=a=b")


@pytest.mark.parametrize(
    ("text", "pair"), [("A: b", ("A", "b")), ("X-Y:z ", ("X-Y", "z")), ("A: b: c", ("A", "b: c")), ("A:", ("A", ""))]
)
def test_headers(text: str, pair: tuple[str, str]) -> None:
    """A name, a colon, a value."""
    assert header(text) == pair


@pytest.mark.parametrize("text", ["", "A", ": b", "A B: c", "A: b\nC: d", "A: \x00"])
def test_what_is_no_header(text: str) -> None:
    """Nothing can be smuggled in."""
    with pytest.raises(UsageError, match="NAME: VALUE"):
        header(text)
