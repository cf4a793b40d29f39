"""A host to type commands at: kube-proxy, a hub and `conf/`, in a network namespace of its own.

Usage: python -m tests.docs.scene FOLDER CAPTURE; reads from stdin a JSON list of {"run", "ends"} and prints as JSON
the exit code and the output of each. The first is run alone, the others beside each other.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY
from tests.e2e.article_scene import serve_kube_proxy

HUB = "127.0.0.1:19000"
DEADLINE_SECONDS = 60
ENDLESS_SECONDS = 5
AFTER_A_WHILE, SPOKEN = f"after {ENDLESS_SECONDS} s", "spoken"


class Healthy(BaseHTTPRequestHandler):
    """kube-proxy's health page."""

    def do_GET(self) -> None:
        body = b'{"lastUpdated":"2026-11-22T19:22:11Z","currentTime":"2026-11-22T19:22:12Z"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def run(folder: Path, command: dict[str, Any]) -> tuple[int, str]:
    """One command as a shell takes it; the exit code is the last program's, 0 if it was stopped when it had spoken."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOSTNAME": "node-a",
        "STATE_DIRECTORY": str(folder / "state"),
    }
    text = f"timeout {ENDLESS_SECONDS} {command['run']}" if command["ends"] == AFTER_A_WHILE else command["run"]
    with subprocess.Popen(
        ["/bin/sh", "-c", text], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        if command["ends"] != SPOKEN:
            said, complained = process.communicate(timeout=DEADLINE_SECONDS)
            return process.returncode, said[:4000] + complained[-2000:]
        assert process.stdout is not None
        first = process.stdout.readline()
        os.killpg(process.pid, signal.SIGTERM)
        said, complained = process.communicate(timeout=DEADLINE_SECONDS)
        return int(not first), first + said + complained[-2000:]


def main() -> None:
    """Play the scene."""
    folder, capture = Path(sys.argv[1]), Path(sys.argv[2])
    for name in ("deploy", "docs"):
        (folder / name).symlink_to(REPOSITORY / name)
    shutil.copytree(folder / "article", folder / "conf")
    (folder / "state").mkdir()
    serve_kube_proxy(capture)
    health = ThreadingHTTPServer(("127.0.0.1", 10256), Healthy)
    threading.Thread(target=health.serve_forever, daemon=True).start()
    kpwatch = str(Path(sys.executable).with_name("kpwatch"))
    hub = subprocess.Popen(
        [kpwatch, "hub", "--listen", HUB, "--data", str(folder / "hub")], stdin=subprocess.DEVNULL, stdout=sys.stderr
    )
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not _is_ready():
            assert time.monotonic() < deadline, "no hub"
            time.sleep(0.05)
        first, *others = json.load(sys.stdin)
        answers = [run(folder, first)]
        with ThreadPoolExecutor(4) as pool:
            answers += pool.map(partial(run, folder), others)
        print(json.dumps(answers))
    finally:
        hub.terminate()
        hub.wait(30)


def _is_ready() -> bool:
    try:
        with urllib.request.urlopen(f"http://{HUB}/-/ready", timeout=5):
            return True
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    main()
