"""The Helm chart: what it makes of six value files is in golden/, and is held to what the manifests are held to."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from kpwatch import __version__
from kpwatch.config.load import load
from tests.conftest import REPOSITORY
from tests.deploy.manifests import Document, check_schemas, documents, names, of_kind, pods
from tests.deploy.policy import broken
from tests.deploy.test_manifests import (
    AGENT_BREAKS,
    ENVIRONMENT,
    FOREIGN,
    MAY_KNOW_NODES,
    MAY_KNOW_PODS,
    PASSWORD_WARNING,
    SECRETS,
    configurations,
)

CHART = REPOSITORY / "deploy" / "helm" / "kpwatch"
GOLDEN = Path(__file__).parent / "golden"
CASES = tuple(sorted(path.stem for path in (CHART / "ci").glob("*.yaml")))
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
HOST_SPOOL = {
    ("host_paths", "state"),
    ("volume_types", "state"),
    ("root", "own-spool"),
    ("capabilities", "own-spool"),
}


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real one, or skip: no distribution carries it, and building it takes minutes."""
    places = os.pathsep.join((os.environ["PATH"], os.environ.get("GOBIN", ""), str(Path.home() / "go" / "bin")))
    path = shutil.which("helm", path=places)
    if path is None:
        pytest.skip("missing here: the program helm (scripts/install-helm, which needs Go)")
    return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=120, check=False)


def golden(case: str) -> list[Document]:
    """What Helm made of a value file."""
    return documents((GOLDEN / f"{case}.yaml").read_text())


def test_six_ways_to_run_it() -> None:
    """Each has a rendering, and no rendering is of anything else."""
    assert len(CASES) == 6
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_the_renderings_are_helms(case: str) -> None:
    """As scripts/make-chart-renderings writes them."""
    where = ("--namespace", "kpwatch", "--kube-version", "1.34.0", "--values", str(CHART / "ci" / f"{case}.yaml"))
    done = helm("template", "kpwatch", str(CHART), *where)
    assert done.returncode == 0, done.stderr
    assert documents(done.stdout) == golden(case)


def test_helm_has_nothing_to_complain_of() -> None:
    """`helm lint`, strictly."""
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("agent.prot=1", "prot"),
        ("hub.retention=forever", "retention"),
        ("interval=0", "interval"),
        ("hub.enabled=false", "where should agents write"),
    ],
)
def test_wrong_values_are_refused(values: str, words: str) -> None:
    """A name that is none, a value of another kind, agents that would write nowhere."""
    done = helm("template", "kpwatch", str(CHART), "--kube-version", "1.34.0", "--set", values)
    assert done.returncode != 0
    assert words in done.stderr


@pytest.mark.parametrize("case", CASES)
def test_the_values_fit_the_schema(case: str) -> None:
    """Defaults and value files, without Helm."""
    jsonschema.validate(VALUES, SCHEMA)
    jsonschema.validate(yaml.safe_load((CHART / "ci" / f"{case}.yaml").read_text()), SCHEMA)


def test_the_schema_knows_every_value() -> None:
    """And no other."""

    def paths(table: Any, here: str = "") -> set[str]:
        if not isinstance(table, dict):
            return {here}
        return {here}.union(*(paths(inner, f"{here}/{name}") for name, inner in table.items()))

    def known(schema: Any, here: str = "") -> set[str]:
        return {here}.union(*(known(inner, f"{here}/{name}") for name, inner in schema.get("properties", {}).items()))

    open_ones = ("/agent/resources/", "/scraper/resources/", "/scraper/nodeLabels/", "/discovery/resources/",
                 "/hub/resources/")  # fmt: skip
    given = {path for path in paths(VALUES) if not path.startswith(open_ones)}
    assert given == known(SCHEMA) - {"/global"}


@pytest.mark.parametrize("version", ["1.25", "1.37"])
def test_schemas(version: str) -> None:
    """The oldest and the newest release; those between are tried with the manifests, which are the same."""
    check_schemas((document for case in CASES for document in golden(case)), version, FOREIGN)


@pytest.mark.parametrize("case", CASES)
def test_pod_security(case: str) -> None:
    """As the manifests: restricted, but for the agent's being on its node's network."""
    for pod in pods(golden(case)):
        if pod.name == "DaemonSet kpwatch-agent":
            assert broken(pod) == AGENT_BREAKS | (HOST_SPOOL if case == "node-spool" else set())
        else:
            assert broken(pod) == set(), pod.name
        for container in pod.containers:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["image"].endswith((f"kpwatch-agent:{__version__}", f"kpwatch-hub:{__version__}"))


@pytest.mark.parametrize("case", CASES)
def test_everything_that_is_named_is_there(case: str) -> None:
    """Service accounts, ConfigMaps, Secrets; and nobody may do more than know nodes, or pods where those are found."""
    everything = golden(case)
    for pod in pods(everything):
        assert pod.spec["serviceAccountName"] in names(everything, "ServiceAccount")
        assert pod.owner["spec"]["selector"]["matchLabels"].items() <= pod.labels.items()
        for volume in pod.spec.get("volumes", []):
            if "configMap" in volume:
                assert volume["configMap"]["name"] in names(everything, "ConfigMap")
            for item in volume.get("secret", {}).get("items", []):
                assert item["key"] in SECRETS[volume["secret"]["secretName"]]
    for kind, allowed in (("ClusterRole", MAY_KNOW_NODES), ("Role", MAY_KNOW_PODS)):
        assert all(rule == allowed for one in of_kind(everything, kind) for rule in one["rules"])
    finds_pods = any('role = "pod"' in one["data"].get("config.toml", "") for one in of_kind(everything, "ConfigMap"))
    assert len(of_kind(everything, "Role")) == len(of_kind(everything, "RoleBinding")) == int(finds_pods)


@pytest.mark.parametrize("case", CASES)
def test_configurations(case: str, tmp_path: Path) -> None:
    """By the agent's own reader."""
    loaded = [
        load(folder, environment=ENVIRONMENT, hostname="m") for _, folder in configurations(golden(case), tmp_path)
    ]
    assert loaded
    for one in loaded:
        assert {problem.what for problem in one.warnings} <= {PASSWORD_WARNING}
        assert one.options.writers


def test_the_page_is_made_from_the_values() -> None:
    """README.md is what scripts/make-chart-readme prints."""
    loader = importlib.machinery.SourceFileLoader(
        "make_chart_readme", str(REPOSITORY / "scripts" / "make-chart-readme")
    )
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    assert (CHART / "README.md").read_text() == module.page()
    assert {path for path, _ in module.rows((CHART / "values.yaml").read_text())} >= {
        "hub.engine",
        "agent.spool.hostPath",
    }


def test_versions() -> None:
    """The chart's is the program's."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__
    assert VALUES["image"] | {"agent": f"kpwatch-agent:{__version__}"} == VALUES["image"]
