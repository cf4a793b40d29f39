"""The agent runs on every node: it loads what it needs and nothing else.

Each row of the allow-list is a module somebody decided to pay for. A new name here is a decision too: measure it
(`python -c 'import x'` and VmRSS) and write down what it is for.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import trustme

from kpwatch.scrape.about import ABOUT_NAMES
from tests.receivers import Receiver
from tests.servers import Server, response, serves

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

OURS = {"kpwatch", "cramjam", "httptools"}

# What the standard library gives, beside what a bare interpreter has loaded anyway. With a leading underscore are the
# C halves of modules named here.
ALLOWED = {
    "__future__": "annotations",
    "array": "by socket",
    "base64": "basic auth",
    "binascii": "by base64",
    "collections": "deque",
    "contextlib": "by several",
    "copyreg": "by re",
    "encodings": "idna and latin-1, when a name or a header needs them",
    "enum": "a batch's fate; by re, by socket",
    "errno": "why a connection failed",
    "fcntl": "one agent a spool: its lock",
    "functools": "caches",
    "gc": "what a start leaves behind is let go",
    "heapq": "the loop's timers",
    "importlib": "the verb that was asked for",
    "itertools": "what changed in a body",
    "json": "what the health port answers",
    "keyword": "by collections",
    "math": "NaN and infinity",
    "operator": "what changed in a body",
    "re": "globs and relabel rules",
    "reprlib": "by collections",
    "resource": "limits that the first log lines show",
    "runpy": "python -m",
    "select": "by selectors",
    "selectors": "the loop",
    "signal": "SIGTERM",
    "socket": "the network",
    "struct": "the wire",
    "types": "by enum",
    "typing": "names of types",
    "warnings": "by several",
    "weakref": "by several",
    "zlib": "gzip from targets that are not on this machine, checksums",
}
C_HALVES = {
    *("_collections", "_functools", "_heapq", "_json", "_operator"),
    *("_socket", "_sre", "_string", "_struct", "_typing", "_weakrefset"),
}
PROBED = {"nt", "org", "_winapi", "java"}
"""Modules of other systems, asked for in vain by the standard library; python notes the attempt."""

WITH_TLS = {"ssl", "_ssl", "calendar", "locale", "stringprep", "unicodedata"}

NEVER = {
    *("asyncio", "concurrent", "dataclasses", "email", "hashlib", "http", "inspect", "logging", "multiprocessing"),
    *("numpy", "platform", "queue", "sqlite3", "ssl", "subprocess", "tempfile", "traceback", "unittest"),
    *("urllib.request", "uuid", "xml", "yaml"),
}
"""What once was loaded by an agent somewhere, or nearly; the allow-list says it all, these say it by name."""

HUB_ONLY = {"store", "promql", "api", "ui", "knowledge", "receive", "hub", "up", "simulate", "doctor", "rules"}


def loaded_by(*arguments: str) -> set[str]:
    """Full names of all modules a process imports, by `-X importtime`; the process must end well."""
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1", "HOSTNAME": "10.206.0.7"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    imports = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in imports} - {"imported package"}


def write_configuration(folder: Path, target: Server, receiver: Receiver, more: str = "") -> None:
    """The article's configuration with our addresses."""
    (folder / "config.toml").write_text(
        f'[global]\nhostname = "$HOSTNAME"\ninterval = 15\n[global.labels]\nzone = "a"\n'
        f'[[writers]]\nurl = "{receiver.url("/prometheus/v1/write")}"\n'
        f'[kpwatch]\nspool_dir = "{folder / "spool"}"\n'
    )
    (folder / "input.prometheus").mkdir()
    (folder / "input.prometheus" / "prometheus.toml").write_text(
        f'[[instances]]\nurls = ["{target.url()}"]\nlabels = {{ job = "kube-proxy" }}\n{more}'
    )


@pytest.fixture(scope="module")
def bare() -> set[str]:
    """What Python loads to do nothing, this environment's start-up hooks included."""
    return loaded_by("-c", "pass")


def loaded_by_agent(folder: Path, more: str = "", tls: ssl.SSLContext | None = None) -> set[str]:
    """What `kpwatch agent --once` loads to scrape and deliver once."""
    with Server(serves(lambda _: response(b"m 1\n")), tls=tls) as target, Receiver() as receiver:
        write_configuration(folder, target, receiver, more)
        modules = loaded_by("-m", "kpwatch", "agent", "--configs", str(folder), "--once")
        assert {one.name for one in receiver.taken} == ABOUT_NAMES | {"m"}
    return modules


def test_an_agent_loads_what_it_needs(tmp_path: Path, bare: set[str]) -> None:
    """A whole agent, scraping and delivering over http, stays within the allow-list."""
    modules = loaded_by_agent(tmp_path)
    assert not modules & NEVER
    top = {name.partition(".")[0] for name in modules - bare}
    assert top - OURS - C_HALVES - PROBED <= ALLOWED.keys()
    ours = {name for name in modules if name.startswith("kpwatch.")}
    rooms = {name.split(".")[1] for name in ours}
    assert not rooms & HUB_ONLY
    assert {"agent", "scrape", "send"} <= rooms
    assert not [name for name in modules if name.startswith("kpwatch.scrape.discovery.kube")]
    heavy = re.compile(r"^from typing import .*\bNamedTuple\b", re.MULTILINE)  # ours: base/named.py
    assert not [name for name in ours if heavy.search(inspect.getsource(importlib.import_module(name)))]


def test_https_costs_ssl_and_nothing_more(tmp_path: Path, bare: set[str]) -> None:
    """One https target: `ssl` and what it brings, and that is all."""
    import ssl

    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    more = f'use_tls = true\ntls_ca = "{tmp_path / "ca.pem"}"\n'
    modules = loaded_by_agent(tmp_path, more, context)
    top = {name.partition(".")[0] for name in modules - bare}
    assert "ssl" in top
    assert top - OURS - C_HALVES - PROBED - WITH_TLS <= ALLOWED.keys()


def test_a_version_costs_next_to_nothing(bare: set[str]) -> None:
    """`--version` answers before anything of ours is imported."""
    modules = loaded_by("-m", "kpwatch", "--version") - bare
    assert {name for name in modules if name.startswith("kpwatch")} == {"kpwatch"}
    assert "ssl" not in modules
