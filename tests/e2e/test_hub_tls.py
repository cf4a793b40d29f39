"""A real hub with a certificate of its own, and secrets that its auth file does not tell."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from tests.e2e.hub_scene import DEADLINE_SECONDS, KPWATCH, HubProcess, series
from tests.pki import make_pki

if TYPE_CHECKING:
    from tests.pki import Pki


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return make_pki(tmp_path)


def client_of(pki: Pki) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=pki.ca_file)


def certificate_shown(port: int, context: ssl.SSLContext) -> bytes:
    """The certificate that a new connection sees."""
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted,
    ):
        shown = encrypted.getpeercert(binary_form=True)
        assert shown is not None
        return shown


def wait_for_another(port: int, context: ssl.SSLContext, old: bytes) -> bytes:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        shown = certificate_shown(port, context)
        if shown != old:
            return shown
        time.sleep(0.2)  # the hub looks at files every 5 s and tells nobody
    raise AssertionError("the old certificate is still shown")


def ready_over_tls(port: int, context: ssl.SSLContext) -> bytes:
    with closing(http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=DEADLINE_SECONDS)) as asking:
        asking.request("GET", "/-/ready")
        return asking.getresponse().read()


def ask_without_tls(port: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)) as asking:
        asking.request("GET", "/-/ready")
        asking.getresponse()


def replace(path: str, content: bytes) -> None:
    """In one step, as who renews a certificate does."""
    new = Path(path + ".new")
    new.write_bytes(content)
    new.replace(path)


def test_https(tmp_path: Path, pki: Pki) -> None:
    """Requests are answered over TLS; plain ones are not."""
    cert, key = pki.server_files("127.0.0.1")
    with HubProcess(tmp_path / "data", "--tls-cert", cert, "--tls-key", key) as hub:
        assert hub.url.startswith("https://127.0.0.1:")
        assert ready_over_tls(hub.port, client_of(pki)) == b"kpwatch hub is ready\n"
        with pytest.raises((http.client.HTTPException, OSError)):
            ask_without_tls(hub.port)


def test_a_renewed_certificate(tmp_path: Path, pki: Pki) -> None:
    """A new pair is taken up within seconds; one that cannot be used leaves the old one where it is."""
    cert, key = pki.server_files("127.0.0.1")
    context = client_of(pki)
    with HubProcess(tmp_path / "data", "--tls-cert", cert, "--tls-key", key) as hub:
        first = certificate_shown(hub.port, context)
        issued = pki.ca.issue_cert("127.0.0.1", "other.example")
        replace(cert, b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        replace(key, issued.private_key_pem.bytes())
        second = wait_for_another(hub.port, context, first)
        replace(key, b"no key")
        deadline = time.monotonic() + 6
        while time.monotonic() < deadline:
            assert certificate_shown(hub.port, context) == second
            time.sleep(0.5)  # until the hub has looked: every 5 s, and it tells nobody but its log
        assert "stays in use" in hub.stop()


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem"), 1, "nowhere.pem"),
        (("--tls-cert", "nowhere.pem"), 2, "belong together"),
        (("--tls-key", "nowhere.pem"), 2, "belong together"),
    ],
)
def test_what_cannot_be_used_is_said_at_start(options: tuple[str, ...], code: int, says: str, tmp_path: Path) -> None:
    """Nothing is listened on."""
    command = [KPWATCH, "hub", "--listen", "127.0.0.1:0", "--data", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr


def test_a_key_of_another_certificate_or_with_a_passphrase(tmp_path: Path, pki: Pki) -> None:
    """Refused with both names; nobody is asked for the passphrase."""
    cert, _ = pki.server_files("127.0.0.1")
    for key in (pki.key_file, pki.locked_key_file):
        command = [KPWATCH, "hub", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data")]
        done = subprocess.run(
            [*command, "--tls-cert", cert, "--tls-key", key],
            capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "--tls-key" in done.stderr


def test_hashed_secrets(tmp_path: Path) -> None:
    """Writing and reading with a secret whose hash stands in the auth file; the admin is who has the admin's."""
    users = tmp_path / "users"
    hasher = PasswordHasher(1, 8, 1)
    users.write_text(f"agent:{hasher.hash('s1')}\nadmin:{hasher.hash('s2')}\n")
    with HubProcess(tmp_path / "data", "--auth-file", str(users), "--enable-admin-api") as hub, hub.client() as client:
        body = series({"__name__": "up"}, (1000, 1.0))
        agent, admin = {"Authorization": "Bearer s1"}, {"Authorization": "Basic YWRtaW46czI="}
        for _ in range(3):
            assert client.write(body, **agent).status == 204
            assert client.write(body, **admin).status == 204
            assert client.write(body, Authorization="Bearer s3").status == 401
        delete = "/api/v1/admin/tsdb/delete_series?match[]=up"
        assert client.request("POST", delete, headers=agent).status == 403
        assert client.request("POST", delete, headers=admin).status == 204
        assert b"kpwatch_hub_secret_verifications_total 5\n" in client.get("/metrics", agent).body


def test_a_changed_auth_file(tmp_path: Path) -> None:
    """A running hub takes up new users within seconds."""
    users = tmp_path / "users"
    users.write_text("ann:a\n")
    with HubProcess(tmp_path / "data", "--auth-file", str(users)) as hub, hub.client() as client:
        ann, bob = {"Authorization": "Bearer a"}, {"Authorization": "Bearer b"}
        assert [client.get("/metrics", who).status for who in (ann, bob)] == [200, 401]
        replace(str(users), b"bob:b\n")
        deadline = time.monotonic() + DEADLINE_SECONDS
        while client.get("/metrics", bob).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)  # the hub looks at files every 5 s and tells nobody
        assert client.get("/metrics", ann).status == 401
