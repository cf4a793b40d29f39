"""A real API server takes what deploy/ has and what the guides tell to type, without a warning."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY
from tests.deploy.manifests import OVERLAYS
from tests.docs.commands import commands
from tests.parts import kubectl
from tests.real.api_server import ApiServer, api_server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real("kube-apiserver")

GUIDES = ("docs/howto/kubernetes.md", "docs/howto/replace-categraf.md", "docs/howto/troubleshooting.md")
NEEDS_MORE = (" rollout ", " port-forward ", " logs ", " exec ", " kustomize ", " NODE ", " delete ", " -f categraf-")
"""A controller or a kubelet; a node's name; the article's own folder; and what is deleted is gone for the others."""
GOLDEN = REPOSITORY / "tests" / "deploy" / "golden"
FOREIGN_GOLDEN = "monitored"
"""Has kinds of operators that are not there."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("api")) as server:
        yield server


def said(api: ApiServer, command: str, *, codes: tuple[int, ...] = (0,)) -> str:
    """What a shell command prints to both outputs; kubectl talks to the server."""
    environment = os.environ | {"KUBECONFIG": str(api.kubeconfig)}
    kubectl()
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode in codes, f"{command}: {done.stderr}"
    return done.stdout + done.stderr


def test_what_the_guides_tell_to_type(api: ApiServer) -> None:
    """In their order; `grep kube-proxy` finds nothing in a cluster without nodes."""
    typed = list(dict.fromkeys(command.text for command in commands() if command.page in GUIDES))
    told = [
        text for text in typed if text.startswith("kubectl ") and not any(word in f"{text} " for word in NEEDS_MORE)
    ]
    assert len(told) >= 10
    for text in told:
        said(api, text, codes=(0, 1) if "| grep" in text or "can-i" in text else (0,))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlays(api: ApiServer, overlay: str) -> None:
    """Taken as they are: no unknown field, no deprecated version, nothing against the namespace's level."""
    assert "Warning" not in said(api, f"kubectl apply --validate=strict -k deploy/kubernetes/overlays/{overlay}")
    again = said(api, f"kubectl diff -k deploy/kubernetes/overlays/{overlay}")
    assert again == "", "the server has changed something"


@pytest.mark.parametrize("case", sorted(path.stem for path in GOLDEN.glob("*.yaml") if path.stem != FOREIGN_GOLDEN))
def test_the_charts_renderings(api: ApiServer, case: str) -> None:
    """The same, without keeping them."""
    said(api, "kubectl create namespace charts", codes=(0, 1))
    text = (GOLDEN / f"{case}.yaml").read_text().replace("namespace: kpwatch\n", "namespace: charts\n")
    file = api.kubeconfig.with_name(f"{case}.yaml")
    file.write_text(text)
    assert "Warning" not in said(api, f"kubectl apply --dry-run=server --validate=strict -f {file}")
