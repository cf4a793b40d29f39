"""An image on one node: run inside a network and a mount namespace of its own.

Usage: python -m tests.deploy.image_scene STAGE ROOT CAPTURE. ROOT is the image's root filesystem; where it is empty one
is laid out of this machine's system, this checkout and the Containerfile's stage `base`. What the image starts runs by
chroot, as the image's user, on a read-only root. Prints what was seen, as JSON.

`agent`: the article's DaemonSet with our image. Starts a hub on 10.206.0.16:19000 and a kube-proxy's pages on
127.0.0.1:10249; the agent has the environment and the mounts that the article's YAML says; then the ConfigMap is
swapped.
`hub`: as deploy/kubernetes mounts it, with a Secret of users, a volume for data and one for temporary files.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import yaml

from tests.agent_process import ConfigMap
from tests.conftest import REPOSITORY
from tests.deploy.containerfile import Builder, Settings, Stage, read, settings
from tests.e2e.article_scene import HUB, NODE, query, serve_kube_proxy

if TYPE_CHECKING:
    from collections.abc import Callable

ARTICLE = REPOSITORY / "docs" / "article"
SYSTEM = ("usr", "bin", "sbin", "lib", "lib64")
DEADLINE_SECONDS = 90


def mount(*arguments: str) -> None:
    """Mount, as root of this namespace."""
    subprocess.run(["mount", *arguments], check=True, stdin=subprocess.DEVNULL)


def lay_out(root: Path, stages: dict[str, Stage]) -> None:
    """A root of what is here: the system and its Python by bind mounts, kpwatch as a wheel would put it."""
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    for name in SYSTEM:
        if (Path("/") / name).is_dir():
            (root / name).mkdir()
            mount("--bind", f"/{name}", str(root / name))
    for name in ("etc", "dev", "tmp", "var/lib", "opt"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("null", "urandom"):
        (root / "dev" / name).touch()
        mount("--bind", f"/dev/{name}", str(root / "dev" / name))
    python = Path(sys.base_prefix)
    if not python.is_relative_to("/usr"):
        inside = root / str(python).lstrip("/")
        inside.mkdir(parents=True)
        mount("--bind", str(python), str(inside))
    prefix = root / "opt" / "kpwatch"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(prefix)], check=True)
    here, there = Path(sysconfig.get_path("purelib")), next(prefix.glob("lib/python*/site-packages"))
    for name in ("cramjam", "httptools"):
        shutil.copytree(here / name, there / name)
    shutil.copytree(REPOSITORY / "src" / "kpwatch", there / "kpwatch", ignore=shutil.ignore_patterns("__pycache__"))
    script = prefix / "bin" / "kpwatch"
    script.write_text("#!/opt/kpwatch/bin/python3\nimport sys\nfrom kpwatch.__main__ import main\nsys.exit(main())\n")
    script.chmod(0o755)
    Builder(stages, REPOSITORY, lambda _: root).build("base")


def wait_for(holds: Callable[[], Any], what: str) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {DEADLINE_SECONDS} s for {what}")


def article() -> tuple[dict[str, str], dict[str, ConfigMap], dict[str, dict[str, str]]]:
    """The DaemonSet's environment, its mounts (path -> name of the ConfigMap), the ConfigMaps' files."""
    documents = list(yaml.safe_load_all((ARTICLE / "categraf-configmap-v1.yaml").read_text()))
    files = {one["metadata"]["name"]: one["data"] for one in documents if one}
    daemonset = yaml.safe_load((ARTICLE / "categraf-daemonset-v1.yaml").read_text())
    spec = daemonset["spec"]["template"]["spec"]
    fields = {"spec.nodeName": NODE, "status.hostIP": "10.206.0.7"}
    [container] = spec["containers"]
    environment = {
        one["name"]: one.get("value") or fields[one["valueFrom"]["fieldRef"]["fieldPath"]] for one in container["env"]
    }
    maps = {volume["name"]: volume["configMap"]["name"] for volume in spec["volumes"]}
    mounts = {one["mountPath"]: maps[one["name"]] for one in container["volumeMounts"]}
    return environment, mounts, files


def main() -> None:
    """Play the scene."""
    stage, root, capture = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    stages = read((REPOSITORY / "Containerfile").read_text())
    if not root.exists() or not any(root.iterdir()):
        lay_out(root, stages)
    (root / "proc").mkdir(exist_ok=True)
    mount("--rbind", "/proc", str(root / "proc"))
    mount("--rbind", str(root), str(root))
    state = root / "var/lib/kpwatch"
    mount("-t", "tmpfs", "-o", "uid=10249,gid=10249,mode=0750", "none", str(state))
    seen = {"agent": agent_scene, "hub": hub_scene}[stage](root, settings(stages, stage), capture)
    print(json.dumps(seen))


def seal(root: Path) -> None:
    """From here on the root is read-only; mounts in it are not."""
    mount("-o", "remount,ro,bind", str(root))


def hub_scene(root: Path, image: Settings, _: Path) -> dict[str, Any]:
    """The hub as its pod has it: who may ask, whether page and engine answer."""
    users = root / "etc/kpwatch-users"
    users.mkdir()
    (users / "users").write_text("agent:a password\n")
    mount("-t", "tmpfs", "-o", "mode=1777", "none", str(root / "tmp"))
    seal(root)
    with tempfile.TemporaryFile("w+") as log:
        hub = start(root, image, {}, log)
        try:
            wait_for(lambda: status_of("/-/ready") == 200, "the hub")
            return {
                "without a password": status_of("/api/v1/query?query=1"),
                "query": status_of("/api/v1/query?query=sum(up)%2B1", "agent:a password"),
                "page": status_of("/", "agent:a password"),
                "user": user_of(hub),
                "data": sorted(path.name for path in (root / "var/lib/kpwatch").iterdir()),
            }
        finally:
            hub.terminate()
            hub.wait(timeout=30)
            log.seek(0)
            print(log.read(), file=sys.stderr)


def status_of(path: str, user: str = "") -> int:
    """Of a GET to the hub on this machine; 0 where nobody answers."""
    headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:19000{path}", headers=headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def start(root: Path, image: Settings, environment: dict[str, str], log: IO[str]) -> subprocess.Popen[bytes]:
    """What the image starts, as its user."""
    return subprocess.Popen(
        ["chroot", f"--userspec={image.user}", str(root), *image.entrypoint, *image.command],
        env=image.environment | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )  # fmt: skip


def user_of(process: subprocess.Popen[bytes]) -> int:
    """The id of a process' user."""
    return int(Path(f"/proc/{process.pid}/status").read_text().partition("Uid:\t")[2].partition("\t")[0])


def agent_scene(root: Path, image: Settings, capture: Path) -> dict[str, Any]:
    """The article's volumes, then the agent."""
    environment, mounts, files = article()
    scratch = root.parent / "volumes"
    volumes = {}
    for number, (path, name) in enumerate(mounts.items()):
        folder = scratch / str(number)
        folder.mkdir(parents=True)
        volumes[name] = ConfigMap(folder)
        volumes[name].write(files[name])
        if number:
            (scratch / "0" / Path(path).name).mkdir()  # the mount point of a volume inside a volume
    for number, path in enumerate(mounts):
        mount("--bind", str(scratch / str(number)), str(root / path.lstrip("/")))
    seal(root)
    return play(root, image, environment, volumes, files, capture)


def play(
    root: Path,
    image: Settings,
    environment: dict[str, str],
    volumes: dict[str, ConfigMap],
    files: dict[str, dict[str, str]],
    capture: Path,
) -> dict[str, Any]:
    """The agent, seen through a hub, before and after a swap of its ConfigMap."""
    kpwatch = str(Path(sys.executable).with_name("kpwatch"))
    serve_kube_proxy(capture)
    with tempfile.TemporaryDirectory() as data, (Path(data) / "log").open("w+") as log:
        hub = subprocess.Popen(
            [kpwatch, "hub", "--listen", HUB, "--data", f"{data}/hub", "--allow-anonymous"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        agent = start(root, image, environment, log)
        try:
            first = wait_for(lambda: query("up"), "the first scrape")
            changed = files["categraf-input-prometheus"]["prometheus.toml"].replace('"kube-proxy"', '"changed"')
            volumes["categraf-input-prometheus"].write({"prometheus.toml": changed})
            wait_for(lambda: query('up{job="changed"}'), "the changed ConfigMap")
            user = user_of(agent)
            spooled = any((root / "var/lib/kpwatch/spool").iterdir())
        finally:
            agent.terminate()
            agent_code = agent.wait(timeout=30)
            hub.terminate()
            hub.wait(timeout=30)
            log.seek(0)
            lines = log.read().splitlines()
            print("\n".join(lines), file=sys.stderr)
    return {"up": first[0]["metric"], "user": user, "spooled": spooled, "exit": agent_code, "lines": lines}


if __name__ == "__main__":
    main()
