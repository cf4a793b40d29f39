"""Discovery against a real API server, with the rights that deploy/kubernetes gives it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.tls import TlsOptions
from tests.conftest import REPOSITORY
from tests.kube_api import node, pod
from tests.parts import kubectl
from tests.real.api_server import SERVER_NAME, TOKEN, ApiServer, api_server
from tests.unit.scrape.discovery.test_kubernetes import Watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.real("kube-apiserver")

NODES = "/api/v1/nodes"
PODS = "/api/v1/namespaces/kube-system/pods"
KUBERNETES = REPOSITORY / "deploy" / "kubernetes"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("api")) as server:
        for number in range(5):
            server.put("Node", NODES, node(f"n{number}", f"10.0.0.{number}", zone="z1"))
        yield server


def trusted(api: ApiServer) -> TlsOptions:
    """Its own certificate is the CA."""
    return TlsOptions(ca_file=str(api.certificate), server_name=SERVER_NAME)


def test_nodes_come_change_and_go(api: ApiServer) -> None:
    """Pages, then a watch that tells of a new node, another label, a deletion; one list is enough."""
    options = {"tls": trusted(api), "token": TOKEN, "page_objects": 2, "node_labels": (("zone", "zone"),)}
    with Watching(api.url, **options) as here:
        here.wait_for(*(f"10.0.0.{number}" for number in range(5)))
        assert here.found is not None
        assert here.found[0].labels == (("zone", "z1"), ("agent_hostname", "n0"))
        api.put("Node", NODES, node("n5", "10.0.0.5"))
        api.change(f"{NODES}/n1", {"metadata": {"labels": {"zone": "z2"}}})
        assert api.ask("DELETE", f"{NODES}/n0")[0] == 200
        here.wait_for(*(f"10.0.0.{number}" for number in range(1, 6)))
        here.until(lambda: "z2" in str(here.found), "the new label")
        assert here.nodes == {"n1", "n2", "n3", "n4", "n5"}
        assert here.counted("relists") == 0
        assert not here.failures


def test_a_version_that_is_forgotten(api: ApiServer) -> None:
    """410, which is no failure: one new list, and what was missed shows in it."""
    with Watching(api.url, tls=trusted(api), token=TOKEN, role="pod") as here:
        here.wait_for()
        watch = here.discovery._watches["pods"]
        api.forget()
        watch._version = "1"
        watch._connection.close()
        watch._watch()
        here.until(lambda: here.counted("relists", reason="expired") == 1, "a new list")
        api.put("Pod", PODS, with_a_container(pod("kube-proxy-b", "n3", "10.0.0.3")))
        here.wait_for("10.0.0.3")
        assert here.counted("relists") == 1
        assert api.ask("DELETE", f"{PODS}/kube-proxy-b?gracePeriodSeconds=0")[0] == 200
        here.wait_for()


def test_watches_end_and_go_on(api: ApiServer) -> None:
    """The server ends a watch when it was asked to, and the next one goes on from there, without a list."""
    with Watching(api.url, tls=trusted(api), token=TOKEN, watch_seconds=1.0) as here:
        here.until(lambda: len(here.nodes) >= 5, "the nodes")
        watch = here.discovery._watches["nodes"]
        first = watch._began_seconds
        here.until(lambda: watch._began_seconds > first, "the next watch")
        api.put("Node", NODES, node("n7", "10.0.0.7"))
        here.until(lambda: "n7" in here.nodes, "the node")
        assert here.counted("relists") == 0


def test_refusals(api: ApiServer) -> None:
    """A wrong token, and nobody (the user system:anonymous)."""
    with Watching(api.url, tls=trusted(api), token="wrong") as here:
        here.wait_for_failure("status code 401: Unauthorized; the token is not accepted")
    with Watching(api.url, tls=trusted(api)) as here:
        here.wait_for_failure("status code 403: nodes is forbidden")


def test_the_rights_of_the_manifests_are_enough(api: ApiServer, tmp_path: Path) -> None:
    """The account's own token: nodes may be known, pods with deploy/kubernetes/pod-rights; a new token is taken up."""

    def apply(folder: str) -> None:
        command = [kubectl(), f"--kubeconfig={api.kubeconfig}", "apply", "-k", str(KUBERNETES / folder)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    apply("overlays/restricted")
    api.put("Pod", PODS, with_a_container(pod("kube-proxy-a", "n2", "10.0.0.2")))
    token = tmp_path / "token"
    token.write_text(api.token_of("kpwatch", "kpwatch-discovery"))
    account = {"tls": trusted(api), "token_file": str(token)}
    with Watching(api.url, **account) as here:
        here.until(lambda: "n1" in here.nodes, "the nodes")
    with Watching(api.url, role="pod", **account) as here:
        here.wait_for_failure("pods is forbidden")
        apply("pod-rights")
        here.wait_for("10.0.0.2")
        token.write_text("no token any more")
        here.discovery._watches["nodes"]._connection.close()
        here.discovery._watches["nodes"]._watch()
        here.wait_for_failure("status code 401")
        token.write_text(api.token_of("kpwatch", "kpwatch-discovery"))
        api.put("Node", NODES, node("n8", "10.0.0.8"))
        here.until(lambda: "n8" in here.nodes, "the node, with the new token")


def with_a_container(one: dict[str, object]) -> dict[str, object]:
    """What the API server asks of every pod."""
    spec = one["spec"]
    assert isinstance(spec, dict)
    return {**one, "spec": {**spec, "containers": [{"name": "kube-proxy", "image": "kube-proxy"}]}}
