"""How requests reach their receiver: secrets in files, redirects, proxies, TLS with a certificate of our own."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.tls import TlsOptions
from tests.proxy import ProxyServer
from tests.receivers import OK, Receiver
from tests.servers import Server, refused_port, replies, response, serves
from tests.unit.base.test_tls import pki  # noqa: F401 - a fixture
from tests.unit.send.test_writer import LINGER_SECONDS, Sending, scrape

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.base.test_tls import Pki


def redirect(location: str, status: int = 307) -> bytes:
    """An answer that sends elsewhere."""
    return response(b"go away", status, Location=location)


def basic(user: str, password: str) -> str:
    """A header's value."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


# Secrets.


@pytest.mark.parametrize(
    ("key", "options", "header"),
    [
        ("bearer_token_file", {}, "Bearer {}"),
        ("bearer_token_file", {"basic_auth_user": "u", "basic_auth_pass": "p", "bearer_token": "other"}, "Bearer {}"),
        ("basic_auth_pass_file", {"basic_auth_user": "u", "basic_auth_pass": "other"}, ""),
    ],
)
def test_a_secret_in_a_file_is_read_for_each_request(
    tmp_path: Path, key: str, options: dict[str, str], header: str
) -> None:
    """A token that was replaced counts from the next request on; the line's end does not count."""
    file = tmp_path / "secret"
    with Receiver() as receiver, Sending(receiver.url(), **{key: str(file)} | options) as sending:
        for number, secret in enumerate(("old-secret", "new-secret")):
            file.write_text(f"{secret}\n")
            sending.append(scrape(number))
            sending.pass_time_until_idle()
        expected = [header.format(secret) if header else basic("u", secret) for secret in ("old-secret", "new-secret")]
        assert [request.headers["authorization"] for request in receiver.requests] == expected
        assert "-secret" not in f"{sending.lines}{sending.registry.render()}{sending.writer.options!r}"


BAD_FILES = [
    (None, "No such file or directory"),
    (b"", "it is empty"),
    (b"to\nken", "expected one line of text"),
    (b"tok\xffen", "byte 3 is not UTF-8"),
]


@pytest.mark.parametrize(("content", "words"), BAD_FILES)
def test_a_secret_that_cannot_be_read_is_waited_for(tmp_path: Path, content: bytes | None, words: str) -> None:
    """The file and the reason are named, nothing is sent, and the samples go when it can be read."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with Receiver() as receiver, Sending(receiver.url(), bearer_token_file=str(file)) as sending:
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        sending.wait_for_pause(0.5)
        assert f"bearer_token_file {str(file)!r}: {words}" in sending.lines[0]
        assert receiver.requests == []
        file.write_text("token")
        sending.advance(0.5)
        sending.wait_until_idle()
        assert [taken.value for taken in receiver.taken] == [0]
        assert "ken\\" not in str(sending.lines)


# Redirects.


def test_307_is_followed_each_time() -> None:
    """To another path and to another port of the host, the method, the body and the credentials kept."""
    with Receiver() as receiver:
        moved = redirect(f"http://127.0.0.1:{receiver.port}/there")
        with (
            Server(serves(lambda request: redirect("/second") if request.target == "/first" else moved)) as front,
            Sending(front.url("/first"), bearer_token="token") as sending,
        ):
            for number in range(2):
                sending.append(scrape(number))
                sending.pass_time_until_idle()
            assert [request.target for request in front.requests] == ["/first", "/second"] * 2
            assert [(request.method, request.target) for request in receiver.requests] == [("POST", "/there")] * 2
            assert [request.headers["authorization"] for request in receiver.requests] == ["Bearer token"] * 2
            assert [taken.value for taken in receiver.taken] == [0, 1]
            assert sending.lines == []


def test_308_is_remembered() -> None:
    """Until the new place fails: then the URL as configured is asked again."""
    answers = [OK, response(b"", 500), OK]
    with Receiver(*answers) as receiver:
        moved = redirect(f"http://127.0.0.1:{receiver.port}/new", 308)
        with Server(serves(lambda _: moved)) as front, Sending(front.url("/old")) as sending:
            sending.append(scrape(0))
            sending.pass_time_until_idle()
            sending.append(scrape(1))
            sending.advance(LINGER_SECONDS)
            sending.wait_for_pause(0.5)
            assert len(front.requests) == 1
            sending.advance(0.5)
            sending.wait_until_idle()
            assert len(front.requests) == 2
            assert [taken.value for taken in receiver.taken] == [0, 1]


NOT_FOLLOWED = [
    (redirect("http://other.example/w?token=secret"), "'http://other.example/w', another host"),
    (redirect("http://u:secret@other.example/w"), "'http://other.example/w', another host"),
    (redirect("ftp://127.0.0.1/w"), "which is no URL"),
    (redirect(""), "which is no URL"),
    (redirect("/w", 301), "redirected to '/w', where a POST must not follow; set url"),
    (redirect("/w", 302), "where a POST must not follow"),
    (redirect("/again"), "redirected to '/again', after 3 other redirects"),
]


@pytest.mark.parametrize(("answer", "words"), NOT_FOLLOWED)
def test_a_redirect_that_is_not_followed_is_waited_out(answer: bytes, words: str) -> None:
    """No other host ever sees samples or credentials; they are held until somebody mends the URL."""
    with Server(serves(lambda _: answer)) as front, Sending(front.url("/again"), bearer_token="secret") as sending:
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        sending.wait_for_pause(60)
        assert words in sending.lines[0]
        assert "secret" not in sending.lines[0]
        assert sending.queue.samples == 1


# Proxies and TLS.


@pytest.mark.parametrize("credentials", ["", "user:p%40ss@"])
def test_http_by_a_proxy(credentials: str) -> None:
    """The proxy gets whole URLs, and its own credentials; the receiver gets neither."""
    wants = basic("user", "p@ss") if credentials else ""
    with ProxyServer(wants) as proxy, Receiver() as receiver:
        url = proxy.proxy_url.replace("//", f"//{credentials}")
        with Sending(receiver.url("/w?a=b"), proxy_url=url) as sending:
            for number in range(2):
                sending.append(scrape(number))
                sending.pass_time_until_idle()
            assert [request.target for request in proxy.asked] == [receiver.url("/w?a=b")] * 2
            assert proxy.connections == 1
            assert [request.target for request in receiver.requests] == ["/w?a=b"] * 2
            assert all("proxy-authorization" not in request.headers for request in receiver.requests)
            assert [taken.value for taken in receiver.taken] == [0, 1]


def test_https_by_a_proxy_with_a_certificate_of_our_own(pki: Pki) -> None:  # noqa: F811
    """A tunnel: the proxy learns the host and its own credentials, TLS is spoken with the receiver."""
    context = pki.server("127.0.0.1", client_certs=True)
    tls = TlsOptions(ca_file=pki.ca_file, cert_file=pki.cert_file, key_file=pki.key_file)
    with (
        ProxyServer(basic("user", "secret")) as proxy,
        Server(serves(lambda _: OK), tls=context) as server,
        Sending(
            server.url("/w"),
            tls=tls,
            bearer_token="token",
            proxy_url=proxy.proxy_url.replace("//", "//user:secret@"),
        ) as sending,
    ):
        for number in range(2):
            sending.append(scrape(number))
            sending.pass_time_until_idle()
        (asked,) = proxy.asked
        assert (asked.method, asked.target) == ("CONNECT", f"127.0.0.1:{server.port}")
        assert "authorization" not in asked.headers
        assert [request.target for request in server.requests] == ["/w", "/w"]
        assert all("proxy-authorization" not in request.headers for request in server.requests)
        assert sending.counted("samples_delivered") == 2


def test_without_a_certificate_that_is_asked_for(pki: Pki) -> None:  # noqa: F811
    """A failure of TLS, said, and tried again."""
    context = pki.server("127.0.0.1", client_certs=True)
    with (
        Server(serves(lambda _: OK), tls=context) as server,
        Sending(server.url("/w"), tls=TlsOptions(ca_file=pki.ca_file)) as sending,
    ):
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        sending.wait_for_pause(0.5)
        assert sending.queue.samples == 1


NO_TUNNEL = [
    (replies(response(b"who are you?", 407)), "opens no tunnel to", "407 Because"),
    (replies(response(b"", 502)), "opens no tunnel to", "502 Because"),
    (lambda peer: peer.head(), "opens no tunnel to", "it closed the connection"),
    (replies(b"garbage\r\n\r\n"), "opens no tunnel to", "garbage"),
]


@pytest.mark.parametrize(("script", "words", "said"), NO_TUNNEL)
def test_a_proxy_that_opens_no_tunnel(script, words: str, said: str) -> None:
    """Named with its own words, and tried again."""
    with (
        Server(script) as proxy,
        Sending("https://receiver.example/w", proxy_url=f"http://u:secret@127.0.0.1:{proxy.port}") as sending,
    ):
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        sending.wait_for_pause(0.5)
        assert f"proxy: proxy 127.0.0.1:{proxy.port} {words} receiver.example" in sending.lines[0]
        assert said in sending.lines[0]
        assert "secret" not in sending.lines[0]


def test_a_proxy_that_is_not_there() -> None:
    """It is the proxy that refuses, and the message says so."""
    port = refused_port()
    with Sending("http://receiver.example/w", proxy_url=f"http://127.0.0.1:{port}") as sending:
        sending.append(scrape(0))
        sending.advance(LINGER_SECONDS)
        sending.wait_for_pause(0.5)
        assert f"refused: proxy 127.0.0.1:{port}: ECONNREFUSED" in sending.lines[0]
