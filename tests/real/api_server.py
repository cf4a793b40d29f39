"""A real API server with its etcd, where both are in PATH; there is no controller and no kubelet.

No distribution has kube-apiserver (CONTRIBUTING.md says how to build one), so tests with it are skipped also in CI.
"""

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
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 180
TOKEN = "a-token-of-a-test"
SERVER_NAME = "kubernetes"
"""In the certificate that the API server signs itself."""


class ApiServer:
    """Speaks to it as an admin."""

    def __init__(self, port: int, etcd_port: int, folder: Path) -> None:
        self.port = port
        self.etcd_port = etcd_port
        self.url = f"https://127.0.0.1:{port}"
        self.certificate = folder / "certs" / "apiserver.crt"
        self.kubeconfig = folder / "kubeconfig"
        cluster = {"server": self.url, "certificate-authority": str(self.certificate), "tls-server-name": SERVER_NAME}
        document = {
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
        }  # fmt: skip
        self.kubeconfig.write_text(yaml.safe_dump(document))

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

    def change(self, path: str, change: dict[str, Any]) -> None:
        """PATCH an object."""
        status, said = self.ask("PATCH", path, change, "application/merge-patch+json")
        assert status == 200, said

    def put(self, kind: str, path: str, one: dict[str, Any]) -> None:
        """Create a node or a pod; what it reports of itself is written as the kubelet would."""
        status, said = self.ask("POST", path, {"kind": kind, "apiVersion": "v1", **one, "status": {}})
        assert status == 201, said
        reported = {name: value for name, value in one["status"].items() if name != "images"}
        self.change(f"{path}/{one['metadata']['name']}/status", {"status": reported})

    def forget(self) -> None:
        """Have etcd compact its history: what is watched without a cache, as pods here, cannot go on from before."""
        connection = http.client.HTTPConnection("127.0.0.1", self.etcd_port, timeout=30)
        connection.request("POST", "/v3/kv/range", '{"key": "AA=="}')
        revision = json.loads(connection.getresponse().read())["header"]["revision"]
        connection.request("POST", "/v3/kv/compaction", json.dumps({"revision": revision}))
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        connection.close()

    def token_of(self, namespace: str, account: str) -> str:
        """A token as a kubelet asks for it."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        status, said = self.ask("POST", path, {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"})
        assert status == 201, said
        return str(said["status"]["token"])


@contextmanager
def api_server(folder: Path) -> Iterator[ApiServer]:
    """Etcd and kube-apiserver in `folder`, ended with the block."""
    if missing := [name for name in ("etcd", "kube-apiserver") if shutil.which(name) is None]:
        pytest.skip(f"missing here: {', '.join(missing)} (CONTRIBUTING.md)")
    client, peer, port = free_port(), free_port(), free_port()
    trustme.CA().issue_cert("signer").private_key_pem.write_to_path(folder / "sa.key")
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
            "--service-cluster-ip-range=10.0.0.0/24", "--watch-cache-sizes=pods#0",
            "--disable-admission-plugins=ServiceAccount",
        ],
    ]  # fmt: skip
    running = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.log").open("wb") as log:
                running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        api, deadline = ApiServer(port, client, folder), time.monotonic() + START_SECONDS
        while not _is_ready(api):
            assert time.monotonic() < deadline, (folder / "kube-apiserver.log").read_text()[-2000:]
            assert all(process.poll() is None for process in running), "etcd or kube-apiserver has ended"
            time.sleep(0.2)  # a poll with a deadline: who is ready says so only when asked
        yield api
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(60)


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _is_ready(api: ApiServer) -> bool:
    try:
        return api.ask("GET", "/readyz")[0] == 200
    except OSError:
        return False
