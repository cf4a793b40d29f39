"""What a hub loads before it answers: nothing that only some hubs, or only the first query, need."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

LATER = {
    "argon2": "an auth file with hashes",
    "httpx2": "the first request to an engine",
    "promql_parser": "the first query",
    "re2": "the first query",
    "kpwatch.api.openapi": "who asks for the list of URLs",
    "kpwatch.api.certificate": "--tls-cert",
    "kpwatch.upstream.client": "--engine",
    "kpwatch.rules": "--rules",
    "yaml": "--rules",
}
"""Module -> who needs it."""
OF_GATEWAYS = {"kpwatch.upstream.client"}


def loaded_by(module: str) -> set[str]:
    code = f"import {module}, sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(("module", "may"), [("kpwatch.hub", set()), ("kpwatch.gateway", OF_GATEWAYS)])
def test_a_hub_loads_what_it_needs(module: str, may: set[str]) -> None:
    """The rest comes with who needs it."""
    assert loaded_by(module) & (LATER.keys() - may) == set()
