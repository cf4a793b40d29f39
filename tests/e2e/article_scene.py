"""The article's cluster on one machine: run inside a network namespace of its own, where its addresses are ours.

Usage: python -m tests.e2e.article_scene CONFIGS CAPTURE. Starts a hub on 10.206.0.16:19000, a kube-proxy's /metrics on
127.0.0.1:10249 and the agent on CONFIGS, and prints, as JSON, what the hub then answers to the article's queries.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HUB = "10.206.0.16:19000"
NODE = "10.206.0.7"
QUERIES = (
    "count({job='kube-proxy'})",
    "up",
    "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
    "count({agent_hostname!=''})",
)
DEADLINE_SECONDS = 30


def serve_kube_proxy(capture: Path) -> None:
    """The capture's body on kube-proxy's own address."""
    body = capture.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = {"/metrics": body, "/proxyMode": b"iptables"}.get(self.path, b"ok")
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 10249), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def ask(path: str) -> dict:
    """One GET to the hub; retried until it answers or the deadline is over."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://{HUB}{path}", timeout=5) as answer:
                return json.load(answer)
        except (OSError, urllib.error.URLError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def query(promql: str) -> list:
    """The result of an instant query."""
    return ask("/api/v1/query?query=" + urllib.parse.quote(promql))["data"]["result"]


def main() -> None:
    """Play the scene."""
    configs, capture = sys.argv[1:]
    kpwatch = str(Path(sys.executable).with_name("kpwatch"))
    serve_kube_proxy(Path(capture))
    with tempfile.TemporaryDirectory() as data:
        hub = subprocess.Popen([kpwatch, "hub", "--listen", HUB, "--data", data, "--allow-anonymous"])
        agent = subprocess.Popen([kpwatch, "agent", "--configs", configs], env={**os.environ, "HOSTNAME": NODE})
        try:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while not query("up") and time.monotonic() < deadline:
                time.sleep(0.05)
            answers = {promql: query(promql) for promql in QUERIES}
        finally:
            agent.terminate()
            agent_code = agent.wait(timeout=15)
            hub.terminate()
            hub_code = hub.wait(timeout=15)
    print(json.dumps({"answers": answers, "agent_exit": agent_code, "hub_exit": hub_code}))


if __name__ == "__main__":
    main()
