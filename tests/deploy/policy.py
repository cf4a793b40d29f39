"""Pod Security Standards as questions about a pod (kubernetes.io/docs/concepts/security/pod-security-standards).

Each rule gives what breaks it. `BASELINE` and `RESTRICTED` together are the level "restricted".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.deploy.manifests import Document, Pod

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def host_namespaces(pod: Pod) -> Iterator[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(key):
            yield key


def privileged(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        if container["securityContext"].get("privileged"):
            yield container["name"]


def host_paths(pod: Pod) -> Iterator[str]:
    for volume in pod.spec.get("volumes", []):
        if "hostPath" in volume:
            yield volume["name"]


def host_ports(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        for port in container.get("ports", []):
            if port.get("hostPort"):
                yield container["name"]


def host_probes(pod: Pod) -> Iterator[str]:
    """From 1.34 on: a probe goes to the pod, not where it says."""
    for container in pod.containers:
        for probe in PROBES:
            if container.get(probe, {}).get("httpGet", {}).get("host"):
                yield f"{container['name']} {probe}"


def sysctls(pod: Pod) -> Iterator[str]:
    for one in pod.spec.get("securityContext", {}).get("sysctls", []):
        yield one["name"]


def volume_types(pod: Pod) -> Iterator[str]:
    for volume in pod.spec.get("volumes", []):
        if not set(volume) - {"name"} <= VOLUMES:
            yield volume["name"]


def escalation(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        if container["securityContext"].get("allowPrivilegeEscalation") is not False:
            yield container["name"]


def root(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        merged = _merged(pod, container)
        if merged.get("runAsNonRoot") is not True or not merged.get("runAsUser"):
            yield container["name"]


def seccomp(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        if _merged(pod, container).get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield container["name"]


def capabilities(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        held = container["securityContext"].get("capabilities", {})
        if held.get("drop") != ["ALL"] or set(held.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield container["name"]


def _merged(pod: Pod, container: Document) -> Document:
    return {**pod.spec.get("securityContext", {}), **container["securityContext"]}


BASELINE: tuple[Callable[[Pod], Iterator[str]], ...] = (
    host_namespaces, privileged, host_paths, host_ports, host_probes, sysctls,
)  # fmt: skip
RESTRICTED: tuple[Callable[[Pod], Iterator[str]], ...] = (volume_types, escalation, root, seccomp, capabilities)


def broken(pod: Pod, rules: tuple[Callable[[Pod], Iterator[str]], ...] = BASELINE + RESTRICTED) -> set[tuple[str, str]]:
    """(rule, by what) for all rules that a pod breaks."""
    return {(rule.__name__, by) for rule in rules for by in rule(pod)}
