"""What a hub gives away: the agent as YAML that a cluster takes, and what `kpwatch publish` writes."""

from __future__ import annotations

import tomllib

import pytest
import yaml
from kubernetes_validate import validate

from kpwatch.publish.catalogue import TARGETS
from kpwatch.publish.downloads import downloads
from kpwatch.publish.manifest import NAMESPACE, agent_manifest

URL = "https://hub.example/prometheus/v1/write"


def objects(text: str) -> dict[str, dict[str, object]]:
    """Objects of a manifest by kind and name."""
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in yaml.safe_load_all(text)}


def test_every_object_is_valid_and_in_the_namespace() -> None:
    """Five objects that a cluster takes as they are."""
    found = objects(agent_manifest(URL))
    assert list(found) == [
        "Namespace/kpwatch",
        "ServiceAccount/kpwatch-agent",
        "ConfigMap/kpwatch-agent",
        "ConfigMap/kpwatch-agent-prometheus",
        "DaemonSet/kpwatch-agent",
    ]
    for name, one in found.items():
        validate(one, "1.30", strict=True)
        assert one["metadata"].get("namespace") == (None if name.startswith("Namespace") else NAMESPACE)  # type: ignore[attr-defined]


@pytest.mark.parametrize("asks_who", [False, True])
def test_agents_write_to_the_hub(asks_who: bool) -> None:
    """The address is the writer's; a hub that asks who writes says where the secret belongs."""
    text = objects(agent_manifest(URL, asks_who=asks_who))["ConfigMap/kpwatch-agent"]["data"]["config.toml"]  # type: ignore[index]
    assert tomllib.loads(text)["writers"] == [{"url": URL}]
    assert ("basic_auth_user" in text) == asks_who


def test_the_image_can_be_named() -> None:
    """Whose registry it is only the user knows."""
    daemonset = objects(agent_manifest(URL, "registry.example:5000/kpwatch-agent:1"))["DaemonSet/kpwatch-agent"]
    (container,) = daemonset["spec"]["template"]["spec"]["containers"]  # type: ignore[index]
    assert container["image"] == "registry.example:5000/kpwatch-agent:1"


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_files(target: str) -> None:
    """All below a folder of its name; no unit tests of rules, which take half a minute to make."""
    paths = [document.path for document in downloads(target, "runbooks")]
    assert paths == sorted(paths)
    assert paths
    assert [path for path in paths if not path.startswith(f"{target}/") or "/tests/" in path] == []
