"""The agents that are measured: how each is configured to scrape a rig's targets into its sink, and started.

Every agent gets its documented configuration and default flags; nothing is tuned. A new agent is a row in AGENTS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.lib.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


class Task(NamedTuple):
    """What an agent is to do."""

    targets: Sequence[str]
    """HOST:PORT of each."""
    sink: str
    """Remote Write URL."""
    interval_seconds: float
    folder: Path
    """Its own, empty: configuration and state."""


class Agent(NamedTuple):
    """One row: a name for tables, the program, and `prepare(path, task)`, which writes files and gives the command."""

    name: str
    program: str
    prepare: Callable[[str, Task], list[str]]


def write_article_files(task: Task) -> Path:
    """The article's two files, but for the addresses and the interval."""
    conf = task.folder / "conf"
    inputs = conf / "input.prometheus"
    inputs.mkdir(parents=True)
    (conf / "config.toml").write_text(f"""[global]
hostname = "10.206.0.7"
interval = {_number(task.interval_seconds)}
providers = ["local"]
[writer_opt]
batch = 2000
chan_size = {max(10_000, 2000 * len(task.targets))}
[[writers]]
url = "{task.sink}"
timeout = 5000
dial_timeout = 2500
max_idle_conns_per_host = 100
""")
    urls = ", ".join(f'"http://{target}/metrics"' for target in task.targets)
    (inputs / "prometheus.toml").write_text(f'[[instances]]\nurls = [{urls}]\nlabels = {{ job="kube-proxy" }}\n')
    return conf


def _scrape_config(task: Task) -> str:
    targets = ", ".join(f'"{target}"' for target in task.targets)
    every = f"{round(task.interval_seconds * 1000)}ms"
    return f"""global:
  scrape_interval: {every}
  scrape_timeout: {every}
  external_labels: {{ident: 10.206.0.7}}
scrape_configs:
  - job_name: kube-proxy
    static_configs: [{{targets: [{targets}]}}]
"""


def _prepare_kpwatch(path: str, task: Task) -> list[str]:
    conf = write_article_files(task)
    with (conf / "config.toml").open("a") as config:
        config.write(f'[kpwatch]\nspool_dir = "{task.folder / "spool"}"\n')
    return [path, "agent", "--configs", str(conf)]


def _prepare_categraf(path: str, task: Task) -> list[str]:
    return [path, "-configs", str(write_article_files(task))]


def _prepare_vmagent(path: str, task: Task) -> list[str]:
    config = task.folder / "scrape.yml"
    config.write_text(_scrape_config(task))
    return [
        path,
        f"-promscrape.config={config}",
        f"-remoteWrite.url={task.sink}",
        f"-remoteWrite.tmpDataPath={task.folder / 'data'}",
        f"-httpListenAddr=127.0.0.1:{free_port()}",
    ]


def _prepare_prometheus(path: str, task: Task) -> list[str]:
    config = task.folder / "prometheus.yml"
    config.write_text(_scrape_config(task) + f"remote_write: [{{url: {task.sink}}}]\n")
    return [
        path,
        "--enable-feature=agent",
        f"--config.file={config}",
        f"--storage.agent.path={task.folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{free_port()}",
    ]


def _number(seconds: float) -> str:
    """Whole seconds without a point, as the article writes them; parts of a second as a duration."""
    return str(round(seconds)) if seconds == round(seconds) else f'"{round(seconds * 1000)}ms"'


OURS = "kpwatch"
MEASURE = "vmagent"
"""Whom the goals compare with."""

AGENTS = (
    Agent(OURS, "kpwatch", _prepare_kpwatch),
    Agent(MEASURE, "vmagent", _prepare_vmagent),
    Agent("prometheus agent", "prometheus", _prepare_prometheus),
    Agent("categraf", "categraf", _prepare_categraf),
)
