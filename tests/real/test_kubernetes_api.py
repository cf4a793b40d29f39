"""Discovery against a real API server with its etcd, where both are in PATH (in no distribution, so not in CI)."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from kpwatch.base.tls import TlsOptions
from tests.kube_api import node
from tests.unit.scrape.discovery.test_kubernetes import Watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.real("kube-apiserver")

START_SECONDS = 120
TOKEN = "a-token-of-a-test"


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class RealApi:
    """Speaks to the API server as kubectl would."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"https://127.0.0.1:{port}"

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, Any]:
        """(status, document)."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text[:1] == b"{" else text.decode()

    def put(self, one: dict[str, Any]) -> None:
        """Create a node and give it its addresses."""
        status, said = self.ask("POST", "/api/v1/nodes", {"kind": "Node", "apiVersion": "v1", **one})
        assert status == 201, said
        path = f"/api/v1/nodes/{one['metadata']['name']}/status"
        status, said = self.ask(
            "PATCH", path, {"status": {"addresses": one["status"]["addresses"]}}, "application/merge-patch+json"
        )
        assert status == 200, said


@contextmanager
def real_api(folder: Path) -> Iterator[RealApi]:
    """Etcd and kube-apiserver in `folder`, ended with the block."""
    programs = {name: shutil.which(name) for name in ("etcd", "kube-apiserver")}
    if missing := [name for name, path in programs.items() if path is None]:
        pytest.skip(f"missing here: {', '.join(missing)}")
    client, peer, port = free_port(), free_port(), free_port()
    ca = trustme.CA()
    ca.issue_cert("signer").private_key_pem.write_to_path(folder / "sa.key")
    (folder / "tokens.csv").write_text(f'{TOKEN},admin,1,"system:masters"\n')
    etcd_urls = [f"--{kind}-urls=http://127.0.0.1:{at}" for kind, at in
                 (("listen-client", client), ("advertise-client", client), ("listen-peer", peer),
                  ("initial-advertise-peer", peer))]  # fmt: skip
    commands = [
        ["etcd", f"--data-dir={folder}/etcd", *etcd_urls, f"--initial-cluster=default=http://127.0.0.1:{peer}"],
        [
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}", f"--secure-port={port}",
            "--bind-address=127.0.0.1", f"--cert-dir={folder}/certs", f"--token-auth-file={folder}/tokens.csv",
            "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder}/sa.key", f"--service-account-signing-key-file={folder}/sa.key",
            "--service-cluster-ip-range=10.0.0.0/24", "--watch-cache=true",
        ],
    ]  # fmt: skip
    running = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.log").open("wb") as log:
                running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        api, deadline = RealApi(port), time.monotonic() + START_SECONDS
        while not _is_ready(api):
            assert time.monotonic() < deadline, (folder / "kube-apiserver.log").read_text()[-2000:]
            assert all(process.poll() is None for process in running), "etcd or kube-apiserver has ended"
            time.sleep(0.2)
        yield api
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(60)


def _is_ready(api: RealApi) -> bool:
    try:
        return api.ask("GET", "/readyz")[0] == 200
    except OSError:
        return False


def test_a_real_api_server(tmp_path: Path) -> None:
    """Pages, a watch, a change, a deletion, a wrong token, and a version the server does not know."""
    with real_api(tmp_path) as api:
        for number in range(5):
            api.put(node(f"n{number}", f"10.0.0.{number}", zone="z1"))
        trusted = TlsOptions(ca_file=str(tmp_path / "certs" / "apiserver.crt"), server_name="localhost")
        options = {"tls": trusted, "token": TOKEN, "page_objects": 2, "node_labels": (("zone", "zone"),)}
        with Watching(api.url, **options) as here:
            here.wait_for(*(f"10.0.0.{number}" for number in range(5)))
            assert here.found is not None
            assert here.found[0].labels == (("zone", "z1"), ("agent_hostname", "n0"))
            api.put(node("n5", "10.0.0.5"))
            assert api.ask("DELETE", "/api/v1/nodes/n0")[0] == 200
            here.wait_for(*(f"10.0.0.{number}" for number in range(1, 6)))
            assert here.counted("relists") == 0
            here.discovery._watches["nodes"]._version = "1"
            here.discovery._watches["nodes"]._connection.close()
            here.discovery._watches["nodes"]._watch()
            api.put(node("n6", "10.0.0.6"))
            here.wait_for(*(f"10.0.0.{number}" for number in range(1, 7)))
        with Watching(api.url, tls=trusted, token="wrong") as here:
            here.wait_for_failure("status code 401: Unauthorized; the token is not accepted")
        with Watching(api.url, tls=trusted) as here:  # nobody: the user system:anonymous
            here.wait_for_failure("status code 403: nodes is forbidden")
