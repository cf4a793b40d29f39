"""The manifests of deploy/kubernetes are what their README says, as far as that can be seen without a cluster."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml

from kpwatch import __version__
from kpwatch.config.load import load
from kpwatch.exposition.text import family_of, parse
from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.panels import panels
from kpwatch.model.labels import METRIC_NAME
from kpwatch.promql.needs import selectors
from kpwatch.publish.alerts import all_alerts
from kpwatch.relabel.globs import compile_globs
from kpwatch.scrape.discovery.instance import Instance
from kpwatch.scrape.discovery.options import KubernetesOptions
from kpwatch.scrape.options import TargetOptions
from tests.deploy.manifests import (
    COMPONENTS,
    OVERLAYS,
    ROOT,
    UID,
    Document,
    Pod,
    check_schemas,
    documents,
    kustomized,
    names,
    of_kind,
    pods,
    rendered,
    with_component,
)
from tests.deploy.policy import broken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.model.matchers import Matcher

VERSIONS = ("1.25", "1.28", "1.30", "1.34", "1.37")
FOREIGN = frozenset({"ServiceMonitor", "VMServiceScrape"})
"""Kinds that Kubernetes itself does not know."""
SECRETS = {"kpwatch-hub": {"users", "user", "password"}}
"""What a user makes, by the README."""
ENVIRONMENT = {
    "HOSTNAME": "node-a",
    "HOSTIP": "10.0.0.1",
    "POD_NAME": "kpwatch-scraper-0",
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
}
MAY_KNOW_NODES = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]}
MAY_KNOW_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}
AGENT_BREAKS = {
    ("host_namespaces", "hostNetwork"),
    ("host_probes", "agent livenessProbe"),
    ("host_probes", "agent readinessProbe"),
}
"""What an agent on its node's network cannot help; nothing else of `restricted` may be broken."""


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas(version: str) -> None:
    """Every document of every overlay."""
    check_schemas((document for overlay in OVERLAYS for document in rendered(overlay)), version)


def test_schemas_would_tell() -> None:
    """A misspelt field and a wrong type are errors: the test above can fail."""
    [daemonset] = of_kind(rendered("agent-only"), "DaemonSet")
    for change in ({"hostNetwrok": True}, {"hostNetwork": "yes"}):
        wrong = {**daemonset, "spec": {**daemonset["spec"], "template": {**daemonset["spec"]["template"]}}}
        wrong["spec"]["template"]["spec"] = {**daemonset["spec"]["template"]["spec"], **change}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, "1.34", strict=True)


OVERLAY_OF = {"servicemonitor": "agent-and-hub", "vmservicescrape": "agent-and-hub"}


@pytest.mark.parametrize("component", COMPONENTS)
def test_components(component: str, tmp_path: Path) -> None:
    """Each can be added, changes something, and what comes of it is valid."""
    overlay = OVERLAY_OF.get(component, "agent-only")
    everything = with_component(overlay, component, tmp_path)
    assert everything != rendered(overlay)
    plain = rendered(overlay)
    check_schemas((document for document in everything if document not in plain), "1.34", FOREIGN)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pod_security(overlay: str) -> None:
    """Restricted throughout, but for the agent's being on its node's network."""
    for pod in pods(rendered(overlay)):
        expected = AGENT_BREAKS if pod.name == "DaemonSet kpwatch-agent" else set()
        assert broken(pod) == expected, pod.name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_namespace_lets_the_pods_in(overlay: str) -> None:
    """It enforces `restricted` where nothing breaks it, and says `privileged` where something does."""
    everything = rendered(overlay)
    [namespace] = of_kind(everything, "Namespace")
    breaks = any(broken(pod) for pod in pods(everything))
    level = namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert level == ("privileged" if breaks else "restricted")


@pytest.mark.parametrize(
    ("component", "more"),
    [
        ("spool-hostpath", {("host_paths", "state"), ("volume_types", "state")}),
        (
            "spool-hostpath-init",
            {
                ("host_paths", "state"),
                ("volume_types", "state"),
                ("root", "own-spool"),
                ("capabilities", "own-spool"),
            },
        ),
        ("priority", set()),
        ("hub-password", set()),
    ],
)
def test_what_components_cost(component: str, more: set[tuple[str, str]], tmp_path: Path) -> None:
    """A component breaks what its text says and nothing else."""
    [pod] = pods(with_component("agent-only", component, tmp_path))
    assert broken(pod) == AGENT_BREAKS | more


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods(overlay: str) -> None:
    """Of the image's user, with a read-only root, bounded memory, probes, and a token only where it is needed."""
    for pod in pods(rendered(overlay)):
        assert pod.spec["securityContext"]["runAsUser"] == UID, pod.name
        assert pod.spec["enableServiceLinks"] is False
        asks_the_api = pod.spec["serviceAccountName"] == "kpwatch-discovery"
        assert pod.spec["automountServiceAccountToken"] is asks_the_api
        for container in pod.containers:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
            assert "cpu" not in container["resources"]["limits"], "a throttled agent is late, and lets nobody else run"
            assert {"livenessProbe", "readinessProbe"} <= set(container)
            assert container["image"] in (f"kpwatch-agent:{__version__}", f"kpwatch-hub:{__version__}")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_that_is_named_is_there(overlay: str) -> None:
    """Service accounts, ConfigMaps and their keys, Secrets of the README, labels that selectors look for."""
    everything = rendered(overlay)
    maps = {document["metadata"]["name"]: document["data"] for document in of_kind(everything, "ConfigMap")}
    for pod in pods(everything):
        assert pod.spec["serviceAccountName"] in names(everything, "ServiceAccount")
        assert pod.owner["spec"]["selector"]["matchLabels"].items() <= pod.labels.items()
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        claims = {claim["metadata"]["name"] for claim in pod.owner["spec"].get("volumeClaimTemplates", [])}
        mounted = {mount["name"] for container in pod.containers for mount in container["volumeMounts"]}
        assert mounted == volumes.keys() | claims, pod.name
        for volume in volumes.values():
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps
            for item in volume.get("secret", {}).get("items", []):
                assert item["key"] in SECRETS[volume["secret"]["secretName"]]
    labels = [pod.labels for pod in pods(everything)]
    for kind, path in (("Service", ("selector",)), ("PodDisruptionBudget", ("selector", "matchLabels")),
                       ("NetworkPolicy", ("podSelector", "matchLabels"))):  # fmt: skip
        for document in of_kind(everything, kind):
            wanted = document["spec"]
            for key in path:
                wanted = wanted[key]
            assert any(wanted.items() <= one.items() for one in labels), (kind, document["metadata"]["name"])
    for document in everything:
        assert document["kind"] in ("Namespace", "ClusterRole", "ClusterRoleBinding") or (
            document["metadata"]["namespace"] == "kpwatch"
        )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_rights(overlay: str) -> None:
    """Nobody may do anything but list and watch nodes, and only who discovers may do that."""
    everything = rendered(overlay)
    assert of_kind(everything, "Role") == []
    rules = [rule for one in of_kind(everything, "ClusterRole") for rule in one["rules"]]
    assert all(rule == MAY_KNOW_NODES for rule in rules)
    subjects = [subject for one in of_kind(everything, "ClusterRoleBinding") for subject in one["subjects"]]
    assert {(subject["name"], subject["namespace"]) for subject in subjects} <= {("kpwatch-discovery", "kpwatch")}
    assert bool(rules) == (overlay != "agent-only")


def test_rights_for_pods() -> None:
    """For `role = "pod"`: the same account may list and watch the pods of kube-proxy's namespace, no other."""
    everything = documents(kustomized(str(ROOT / "deploy" / "kubernetes" / "pod-rights")))
    check_schemas(everything, "1.34")
    [role], [binding] = of_kind(everything, "Role"), of_kind(everything, "RoleBinding")
    assert role["rules"] == [MAY_KNOW_PODS]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == of_kind(rendered("restricted"), "ClusterRoleBinding")[0]["subjects"]
    assert {one["metadata"]["namespace"] for one in everything} == {
        KubernetesOptions(Instance(TargetOptions("")), "").namespace
    }


@pytest.mark.parametrize("overlay", [overlay for overlay in OVERLAYS if overlay != "agent-only"])
def test_the_hub_is_reached_on_one_port_and_asks_for_users(overlay: str) -> None:
    """A policy, a budget that lets nodes be drained, and no way without a password."""
    everything = rendered(overlay)
    [policy] = of_kind(everything, "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["ingress"] == [{"ports": [{"port": 19000}]}]
    assert ("egress" in policy["spec"]) == (overlay == "agent-and-engine")
    [budget] = of_kind(everything, "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    [arguments] = [
        container["args"] for pod in pods(everything) for container in pod.containers if container["name"] == "hub"
    ]
    assert any("--auth-file" in argument for argument in arguments)
    assert "--allow-anonymous" not in arguments


def test_the_hubs_arguments_are_the_hubs() -> None:
    """Its own parser takes them."""
    from kpwatch.cli.hub import _parser

    for overlay in ("agent-and-hub", "agent-and-engine", "restricted"):
        [arguments] = [
            container["args"]
            for pod in pods(rendered(overlay))
            for container in pod.containers
            if container["name"] == "hub"
        ]
        assert arguments[0] == "hub"
        given = _parser().parse_args(arguments[1:])
        assert given.listen == ("", 19000)


def configurations(everything: list[Document], folder: Path) -> Iterator[tuple[Pod, Path]]:
    """Each agent's files as its pod sees them."""
    maps = {document["metadata"]["name"]: document["data"] for document in of_kind(everything, "ConfigMap")}
    for number, pod in enumerate(pods(everything)):
        directory = folder / str(number)
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        for mount in pod.spec["containers"][0]["volumeMounts"]:
            if "configMap" in volumes.get(mount["name"], {}):
                inside = directory / mount["mountPath"].removeprefix("/etc/kpwatch").lstrip("/")
                inside.mkdir(parents=True, exist_ok=True)
                for name, text in maps[volumes[mount["name"]]["configMap"]["name"]].items():
                    (inside / name).write_text(text)
        if directory.exists():
            yield pod, directory


PASSWORD_WARNING = "'/etc/kpwatch-secret/password' cannot be read now; it is read again before every request"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_configuration_can_be_loaded(overlay: str, tmp_path: Path) -> None:
    """By the agent's own reader, without an error and without a warning but that the Secret is not here."""
    loaded = list(configurations(rendered(overlay), tmp_path))
    assert loaded
    for pod, directory in loaded:
        one = load(directory, environment=ENVIRONMENT, hostname="machine")
        assert {problem.what for problem in one.warnings} <= {PASSWORD_WARNING}, pod.name
        [address] = [one.options.endpoint.port] if one.options.endpoint else [None]
        assert address == 19110
        if pod.name == "DaemonSet kpwatch-agent":
            assert [target.url for target in one.options.targets] == ["http://127.0.0.1:10249/metrics"]
            assert one.options.hostname == "node-a"
        else:
            [discovery] = one.options.discoveries
            assert isinstance(discovery, KubernetesOptions)
            assert discovery.scrape is (pod.name == "StatefulSet kpwatch-scraper")
            assert discovery.api_url == "https://10.96.0.1:443"


def test_the_agent_on_every_node() -> None:
    """All taints are tolerated, updates go in steps, loopback is asked by the kubelet, the spool is bounded."""
    [daemonset] = of_kind(rendered("agent-only"), "DaemonSet")
    spec = daemonset["spec"]["template"]["spec"]
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert daemonset["spec"]["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": "10%"}
    [state] = [volume for volume in spec["volumes"] if volume["name"] == "state"]
    assert state["emptyDir"] == {"sizeLimit": "1200Mi"}
    assert 1200 << 20 > 1 << 30, "spool_max_bytes and what is open beside it"


def test_the_articles_files_are_documents_too() -> None:
    """The article's own manifests pass the same schemas, in a namespace that kubectl -n gives them."""
    folder = Path(__file__).resolve().parent.parent.parent / "docs" / "article"
    for path in sorted(folder.glob("*.yaml")):
        for document in documents(path.read_text()):
            kubernetes_validate.validate(document, "1.34", strict=True)
            if document["kind"] == "ConfigMap":
                assert all(tomllib.loads(text) for text in document["data"].values())


def test_unused_things() -> None:
    """Every folder of deploy/kubernetes is part of an overlay or a component; one is for kube-proxy's namespace."""
    folder = Path(__file__).resolve().parent.parent.parent / "deploy" / "kubernetes"
    named: Any = "".join(path.read_text() for path in folder.rglob("kustomization.yaml"))
    for path in folder.iterdir():
        if path.is_dir() and path.name not in ("overlays", "components", "pod-rights"):
            assert f"../{path.name}" in named, path.name


SERIES = (
    # capture, its series, how many are sent
    ("real-1.20.2-iptables-200svc", 222, 220),
    ("real-1.26.0-iptables-200svc", 629, 435),
    ("real-1.30.3-iptables-200svc", 769, 532),
    ("real-1.36.3-iptables-200svc", 862, 619),
    ("real-1.36.3-nftables-200svc", 748, 505),
)


@lru_cache
def asked_for() -> list[Matcher]:
    """The names that checks ask for."""
    asked = [selector.matchers for alert in all_alerts(knowledge()) for selector in selectors(alert.expr)]
    return [one for matchers in asked for one in matchers if one.name == METRIC_NAME]


@pytest.mark.parametrize(("name", "series", "sent"), SERIES)
def test_noise_is_left_out(name: str, series: int, sent: int, shared_dir: Path) -> None:
    """And nothing that a check or a board looks at; the chart has the same list."""
    configuration = ROOT / "deploy" / "kubernetes" / "agent" / "config" / "prometheus.toml"
    (instance,) = tomllib.loads(configuration.read_text())["instances"]
    values = yaml.safe_load((ROOT / "deploy" / "helm" / "kpwatch" / "values.yaml").read_text())
    assert values["agent"]["prometheus"] == configuration.read_text()
    ignored = compile_globs(tuple(instance["ignore_metrics"]))
    parsed = parse((shared_dir / "captures" / f"{name}.txt").read_bytes())
    noise = {sample.name for sample in parsed.samples if ignored(family_of(sample.name, parsed.types))}
    assert (len(parsed.samples), sum(sample.name not in noise for sample in parsed.samples)) == (series, sent)
    assert [name for name in noise if any(one.test(name) for one in asked_for())] == []
    assert noise & {metric for panel in panels().panels for metric in panel.metrics} == set()
