"""TLS checks who answers and shows who asks; what cannot work is a failure with a reason, never a hang."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.base.http import Answer, Failure
from kpwatch.base.tls import CIPHER_SUITES, TlsOptions, make_context
from tests.pki import Pki, make_pki
from tests.servers import Peer, Server, closes, hangs, replies, response, serves
from tests.unit.base.asking import Client


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


def test_a_trusted_server(pki: Pki) -> None:
    """Requests go over one TLS connection, bodies larger than a record both ways."""
    big = bytes(range(256)) * 4096
    with (
        Server(serves(lambda request: response(request.body)), tls=pki.server("127.0.0.1")) as server,
        Client(server.url(), tls=TlsOptions(ca_file=pki.ca_file)) as client,
    ):
        for _ in range(2):
            outcome = client.ask(big, body_limit_bytes=2 << 20)
            assert isinstance(outcome, Answer), outcome
            assert outcome.body == big
        assert server.connections == 1


def test_a_body_that_ends_with_the_connection(pki: Pki) -> None:
    """Without a length, over TLS too."""
    with (
        Server(replies(b"HTTP/1.0 200 OK\r\n\r\nm 1\n"), tls=pki.server("127.0.0.1")) as server,
        Client(server.url(), tls=TlsOptions(ca_file=pki.ca_file)) as client,
    ):
        outcome = client.ask()
        assert isinstance(outcome, Answer), outcome
        assert outcome.body == b"m 1\n"


@pytest.mark.parametrize("script", [closes, hangs])
def test_a_server_that_says_nothing(pki: Pki, script) -> None:
    """Closed or silent after the handshake."""
    with (
        Server(script, tls=pki.server("127.0.0.1")) as server,
        Client(server.url(), tls=TlsOptions(ca_file=pki.ca_file)) as client,
    ):
        outcome = client.ask(timeout_seconds=0.1 if script is hangs else 20)
        assert isinstance(outcome, Failure)
        assert outcome.reason == {closes: "cut", hangs: "timeout"}[script]


OPTIONS = [
    # names in the server's certificate, our options (files of `pki` by name) -> does it work
    (("127.0.0.1",), {"ca_file": "ca_file"}, True),
    (("node-a",), {"ca_file": "ca_file"}, False),
    (("node-a",), {"ca_file": "ca_file", "server_name": "node-a"}, True),
    (("127.0.0.1",), {"ca_file": "ca_file", "server_name": "node-b"}, False),
    (("127.0.0.1",), {}, False),
    (("node-a",), {"insecure_skip_verify": True}, True),
    (("127.0.0.1",), {"ca_file": "ca_file", "server_name": ".node"}, False),
    (("127.0.0.1",), {"ca_file": "cert_file"}, False),
]


@pytest.mark.parametrize(("names", "options", "works"), OPTIONS)
def test_who_is_trusted(pki: Pki, names: tuple[str, ...], options: dict[str, str | bool], works: bool) -> None:
    """The chain and the name are checked unless that is switched off; what cannot be checked is a `tls` failure."""
    filled = {key: getattr(pki, value) if key.endswith("_file") else value for key, value in options.items()}
    with (
        Server(replies(response(b"ok")), tls=pki.server(*names)) as server,
        Client(server.url(), tls=TlsOptions(**filled)) as client,
    ):
        outcome = client.ask()
        assert isinstance(outcome, Answer) is works, outcome
        assert works or outcome.reason == "tls"


@pytest.mark.parametrize("shows_certificate", [True, False])
def test_a_server_that_wants_a_certificate(pki: Pki, shows_certificate: bool) -> None:
    """A client certificate is shown where we were given one; where not, the server's alert is the failure."""
    ours = {"cert_file": pki.cert_file, "key_file": pki.key_file} if shows_certificate else {}
    with (
        Server(replies(response(b"ok")), tls=pki.server("127.0.0.1", client_certs=True)) as server,
        Client(server.url(), tls=TlsOptions(ca_file=pki.ca_file, **ours)) as client,
    ):
        outcome = client.ask()
        assert isinstance(outcome, Answer) is shows_certificate, outcome


def test_a_server_without_tls() -> None:
    """An https URL of an http port: a `tls` failure."""

    def speaks_http(peer: Peer) -> None:
        peer.send(response(b"what is this?", 400))
        peer.wait_until_gone()

    with Server(speaks_http) as server, Client(f"https://127.0.0.1:{server.port}/") as client:
        outcome = client.ask()
        assert isinstance(outcome, Failure)
        assert outcome.reason == "tls"


def test_a_failed_handshake_is_tried_again_next_time(pki: Pki) -> None:
    """Each request after a failed handshake dials anew."""
    with (
        Server(replies(response(b"ok")), tls=pki.server("node-a")) as server,
        Client(server.url(), tls=TlsOptions(ca_file=pki.ca_file)) as client,
    ):
        for _ in range(2):
            outcome = client.ask()
            assert isinstance(outcome, Failure)
            assert outcome.reason == "tls"
        assert server.connections == 2


BAD_OPTIONS = [
    # options, words of the error
    ({"ca_file": "missing.pem"}, "tls_ca .*missing.pem.*expected a PEM file"),
    ({"ca_file": "key.pem"}, "tls_ca .*key.pem"),
    ({"server_name": ".node"}, "tls_server_name '.node'"),
    ({"cert_file": "missing.pem"}, "tls_cert .*missing.pem"),
    ({"cert_file": "cert.pem"}, "tls_cert .*cert.pem"),
    ({"cert_file": "cert.pem", "key_file": "ca.pem"}, "tls_key .*ca.pem"),
    ({"cert_file": "cert.pem", "key_file": "locked.pem"}, "tls_key .*locked.pem"),
]


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS)
def test_options_that_cannot_be_used(pki: Pki, options: dict[str, str], words: str) -> None:
    """The file or the name is named; an encrypted key asks no terminal for its password."""
    filled = {key: str(pki.folder / value) if key.endswith("_file") else value for key, value in options.items()}
    with pytest.raises(ConfigError, match=words):
        make_context(TlsOptions(**filled))


def test_files_that_cannot_be_used_are_a_failure_of_the_request(pki: Pki) -> None:
    """They may be there tomorrow: the agent goes on asking."""
    with (
        Server(replies(response(b"ok")), tls=pki.server("127.0.0.1")) as server,
        Client(server.url(), tls=TlsOptions(ca_file=str(pki.folder / "later.pem"))) as client,
    ):
        outcome = client.ask()
        assert isinstance(outcome, Failure)
        assert outcome.reason == "tls"
        (pki.folder / "later.pem").write_bytes(pki.ca.cert_pem.bytes())
        assert isinstance(client.ask(), Answer)


PEM_TEXTS = [
    ({"cert_file": "cert_file", "key_file": "key_file"}, True),
    ({"cert_file": "cert_file", "key_file": "locked_key_file", "key_password": "password"}, True),
    ({"cert_file": "cert_file", "key_file": "locked_key_file", "key_password": "wrong"}, False),
    ({"cert_file": "cert_file", "key_file": "locked_key_file"}, False),
    ({"cert_file": "cert_file", "key_file": "cert_file"}, False),
]


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize(("options", "works"), PEM_TEXTS)
def test_our_certificate_as_file_or_text(pki: Pki, options: dict[str, str], works: bool, as_text: bool) -> None:
    """Paths and PEM text do the same, encrypted keys too; no key, no password and no file of it is left behind."""

    def given(name: str) -> str:
        path = getattr(pki, name)
        return Path(path).read_text() if as_text else path

    filled = {key: given(value) if key.endswith("_file") else value for key, value in options.items()}
    tls = TlsOptions(ca_file=given("ca_file"), **filled)
    before = set(Path("/proc/self/fd").iterdir())
    with (
        Server(replies(response(b"ok")), tls=pki.server("127.0.0.1", client_certs=True)) as server,
        Client(server.url(), tls=tls) as client,
    ):
        outcome = client.ask()
        assert isinstance(outcome, Answer) is works, outcome
        assert "PRIVATE" not in f"{tls} {outcome}"
    assert set(Path("/proc/self/fd").iterdir()) <= before


BAD_TEXTS = [
    ({"ca_file": "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"}, "tls_ca (PEM text): "),
    ({"ca_file": "/nowhere"}, "tls_ca '/nowhere': "),
    ({"cert_file": "-----BEGIN x", "key_file": "/nowhere"}, "tls_cert (PEM text), tls_key '/nowhere': "),
    ({"cipher_suites": ("TLS_RSA_WITH_RC4_128_SHA",)}, "tls_cipher_suites TLS_RSA_WITH_RC4_128_SHA: this OpenSSL"),
]


@pytest.mark.parametrize(("options", "words"), BAD_TEXTS)
def test_what_cannot_be_used_is_named(options: dict[str, Any], words: str) -> None:
    """Paths by their path, text as such."""
    with pytest.raises(ConfigError) as caught:
        make_context(TlsOptions(**options))
    assert str(caught.value).startswith(words)


VERSIONS_SPOKEN = [
    # options, versions of the server, version spoken or None
    ({}, ("TLSv1_2", "TLSv1_3"), "TLSv1.3"),
    ({"max_version": "1.2"}, ("TLSv1_2", "TLSv1_3"), "TLSv1.2"),
    ({"min_version": "1.3"}, ("TLSv1_2", "TLSv1_2"), None),
    ({}, ("TLSv1", "TLSv1_1"), None),
    ({"min_version": "1.0"}, ("TLSv1", "TLSv1_1"), "TLSv1.1"),
    ({"min_version": "1.0", "max_version": "1.0"}, ("TLSv1", "TLSv1_3"), "TLSv1"),
    ({"cipher_suites": ("TLS_AES_128_GCM_SHA256",)}, ("TLSv1_2", "TLSv1_2"), None),
    ({"cipher_suites": ("TLS_AES_128_GCM_SHA256",)}, ("TLSv1_2", "TLSv1_3"), "TLSv1.3"),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("options", "versions", "spoken"), VERSIONS_SPOKEN)
def test_versions(pki: Pki, options: dict[str, Any], versions: tuple[str, str], spoken: str | None) -> None:
    """Between those asked for; TLS 1.0 only for whoever asks for it."""
    context = pki.server("127.0.0.1")
    context.minimum_version, context.maximum_version = (ssl.TLSVersion[name] for name in versions)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    assert handshake(make_context(TlsOptions(ca_file=pki.ca_file, **options)), context)[0] == spoken


def test_cipher_suites(pki: Pki) -> None:
    """The one asked for, by Go's name, is spoken."""
    asked = TlsOptions(
        ca_file=pki.ca_file, max_version="1.2", cipher_suites=("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",)
    )
    found = handshake(make_context(asked), pki.server("127.0.0.1"))
    assert found == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")


def handshake(ours: ssl.SSLContext, theirs: ssl.SSLContext) -> tuple[str | None, str]:
    """(version, cipher) that the two agree on in memory, or (None, "")."""
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(to_us, to_them, server_hostname="127.0.0.1")
    server = theirs.wrap_bio(to_them, to_us, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return None, ""
    cipher = client.cipher()
    return client.version(), cipher[0] if cipher else ""


@pytest.mark.parametrize(("suite", "name"), [pair for pair in CIPHER_SUITES.items() if pair[1]])
def test_openssl_knows_the_suites(suite: str, name: str) -> None:
    """Under the name of the table, but for what it has no more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if "RC4" in suite or "3DES" in suite:
        return
    context.set_ciphers(name)
    assert name in {cipher["name"] for cipher in context.get_ciphers()}
