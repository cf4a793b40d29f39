"""The agent on every node as one file for `kubectl apply`: deploy/kubernetes/agent with a hub's address in it.

`agent` beside this file is that folder: in a checkout a link to it, in a wheel its files. What kustomize would make of
it stands here in a few lines, because whoever asks a hub for the file has neither the checkout nor an overlay.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

NAMESPACE = "kpwatch"
_ADDRESS = re.compile(r'^url = ".*"$', re.MULTILINE)
_IMAGE = re.compile(r"^( +image: ).*$", re.MULTILINE)
_NAME = re.compile(r"^metadata:\n {2}name: .*$", re.MULTILINE)
_ASKS_WHO = (
    "# The hub asks who writes: put basic_auth_user and basic_auth_pass here, or basic_auth_pass_file and a Secret."
)


def agent_manifest(write_url: str, image: str = "", *, asks_who: bool = False) -> str:
    """Whole YAML documents. `write_url`: where agents write; `image`: "" = the one of deploy/kubernetes.

    `asks_who`: whether the hub takes nothing from strangers; then a comment says where the secret belongs.
    """
    folder = resources.files("kpwatch.publish").joinpath("agent")
    address = f"url = {json.dumps(write_url, ensure_ascii=False)}"
    writer = "\n".join([address, _ASKS_WHO] if asks_who else [address])
    config = _ADDRESS.sub(lambda _: writer, _text(folder, "config/config.toml"))
    daemonset = _placed(_text(folder, "daemonset.yaml"))
    if image:
        daemonset = _IMAGE.sub(lambda found: found[1] + json.dumps(image), daemonset)
    parts = (
        _text(folder, "namespace.yaml"),
        _placed(_text(folder, "serviceaccount.yaml")),
        _config_map("kpwatch-agent", "config.toml", config),
        _config_map("kpwatch-agent-prometheus", "prometheus.toml", _text(folder, "config/prometheus.toml")),
        daemonset,
    )
    return "\n---\n".join(part.rstrip() for part in parts) + "\n"


def _text(folder: Traversable, path: str) -> str:
    return folder.joinpath(path).read_text(encoding="utf-8")


def _placed(yaml: str) -> str:
    """An object in our namespace."""
    return _NAME.sub(lambda found: f"{found[0]}\n  namespace: {NAMESPACE}", yaml, count=1)


def _config_map(name: str, file: str, text: str) -> str:
    lines = "\n".join(f"    {line}" if line else "" for line in text.rstrip().split("\n"))
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: {NAMESPACE}\n"
        f"data:\n  {file}: |\n{lines}"
    )
