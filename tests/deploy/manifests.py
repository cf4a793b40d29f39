"""What `kubectl kustomize` makes of an overlay, and ways through it."""

from __future__ import annotations

import json
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import kubernetes_validate
import yaml

from tests.parts import kubectl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("agent-only", "agent-and-hub", "agent-and-engine", "restricted")
COMPONENTS = tuple(sorted(path.name for path in (KUBERNETES / "components").iterdir()))
UID = 10249

Document = dict[str, Any]


class Pod(NamedTuple):
    """The pod of a workload."""

    owner: Document
    spec: Document
    labels: dict[str, str]

    @property
    def name(self) -> str:
        """Of the workload."""
        return f"{self.owner['kind']} {self.owner['metadata']['name']}"

    @property
    def containers(self) -> list[Document]:
        """Init containers included."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


@lru_cache
def kustomized(folder: str) -> str:
    """What kubectl prints for a folder."""
    command = [kubectl(), "kustomize", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rendered(overlay: str) -> list[Document]:
    """The documents of one of OVERLAYS."""
    return documents(kustomized(str(KUBERNETES / "overlays" / overlay)))


def documents(text: str) -> list[Document]:
    """All documents of a text that are not empty."""
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def with_component(overlay: str, component: str, folder: Path) -> list[Document]:
    """The same with a component."""
    parts = {"resources": KUBERNETES / "overlays" / overlay, "components": KUBERNETES / "components" / component}
    base = folder.resolve()
    lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", "namespace: kpwatch"]
    for key, path in parts.items():
        lines += [f"{key}:", f"  - {_relative(path, base)}"]
    (folder / "kustomization.yaml").write_text("\n".join(lines) + "\n")
    return documents(kustomized(str(folder)))


def _relative(path: Path, base: Path) -> str:
    up = len(base.parts) - 1
    return "../" * up + "/".join(path.parts[1:])


def check_schemas(everything: Iterable[Document], version: str, foreign: frozenset[str] = frozenset()) -> None:
    """Each document is one of that release, without a field that it does not know; the same one is looked at once."""
    for text in {json.dumps(document, sort_keys=True) for document in everything}:
        document = json.loads(text)
        if document["kind"] not in foreign:
            kubernetes_validate.validate(document, version, strict=True)


def pods(everything: list[Document]) -> Iterator[Pod]:
    """Every workload's pod."""
    for document in everything:
        template = document.get("spec", {}).get("template") if isinstance(document.get("spec"), dict) else None
        if template is not None:
            yield Pod(document, template["spec"], template["metadata"]["labels"])


def of_kind(everything: list[Document], kind: str) -> list[Document]:
    """All documents of a kind."""
    return [document for document in everything if document["kind"] == kind]


def names(everything: list[Document], kind: str) -> set[str]:
    """The names of all documents of a kind."""
    return {document["metadata"]["name"] for document in of_kind(everything, kind)}
