"""`kpwatch agent` as a process: the article's configuration, flags, output, log lines, signals and exit codes."""

from __future__ import annotations

import http.server
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from kpwatch.cli.agent import config_directory
from kpwatch.scrape.about import ABOUT_NAMES
from tests.parts import require
from tests.receivers import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_SECONDS = 60
HOSTNAME = "tt-fc-dev01.nj"
HISTOGRAM = "kubeproxy_sync_proxy_rules_duration_seconds"


class Page(http.server.ThreadingHTTPServer):
    """A metrics page on a free port."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/metrics"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Page

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/metrics" else 404)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def page() -> Iterator[Page]:
    server = Page(b"# TYPE a gauge\na 1\n")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def write_config(directory: Path, url: str, interval: str = "15") -> Path:
    """The article's two files, with another host name and another URL."""
    (directory / "input.prometheus").mkdir(parents=True)
    (directory / "config.toml").write_text(
        f'[global]\nhostname = "$NODE"\ninterval = "{interval}"\nproviders = ["local"]\n'
        "[writer_opt]\nbatch = 2000\nchan_size = 10000\n"
        '[[writers]]\nurl = "http://127.0.0.1:1/prometheus/v1/write"\ntimeout = 5000\n'
    )
    (directory / "input.prometheus/prometheus.toml").write_text(
        f'[[instances]]\nurls = [\n     "{url}"\n]\nlabels = {{ job="kube-proxy" }}\n'
    )
    return directory


def environment() -> dict[str, str]:
    own = {"NODE": HOSTNAME, "TZ": "UTC"}
    return {name: value for name, value in os.environ.items() if "CONFIGS" not in name} | own


def start(*arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kpwatch", "agent", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment(), cwd=cwd)


def run(*arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
    with start(*arguments, cwd=cwd) as process:
        out, error = process.communicate(timeout=DEADLINE_SECONDS)
    return process.returncode, out, error


def body_of(lines: list[str]) -> bytes:
    """A metrics page from which the original would print `lines` (time, name, labels, value)."""
    samples = []
    for line in lines:
        _, name, *labels, value = line.split(" ")
        le = [label.partition("=")[2] for label in labels if label.startswith("le=")]
        samples.append(f'{name}{{le="{le[0]}"}} {value}' if le else f"{name} {value}")
    samples.sort(key=lambda sample: 'le="+Inf"' in sample)  # where a page has it: behind the other buckets
    types = {name: "gauge" for name in (sample.split(" ")[0] for sample in samples) if HISTOGRAM not in name}
    types[HISTOGRAM] = "histogram"
    return "".join(
        [*(f"# TYPE {name} {kind}\n" for name, kind in types.items()), *(f"{s}\n" for s in samples)]
    ).encode()


def by_family(lines: list[str]) -> dict[str, list[str]]:
    """Lines without their time, by family; order between families does not count, order within does."""
    families: dict[str, list[str]] = {}
    for line in lines:
        rest = line.split(" ", 1)[1]
        family = re.sub(rf"^({HISTOGRAM})_\w+$", r"\1", rest.split(" ")[0])
        families.setdefault(family, []).append(rest)
    return families


def test_the_articles_samples(shared_dir: Path, page: Page, tmp_path: Path) -> None:
    """Its numbers served, its lines printed; `job` is printed too, which its configuration sets."""
    printed = (shared_dir / "article/test-output.stdout.txt").read_text().splitlines()
    page.body = body_of(printed)
    config = write_config(tmp_path / "conf", page.url)
    code, out, _ = run("--test", "--once", "--inputs", "prometheus", "--configs", str(config))
    assert code == 0
    lines = out.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    assert lines[0].endswith(f" up agent_hostname={HOSTNAME} instance={page.url} job=kube-proxy 1")
    expected = [re.sub(r"instance=\S+( le=\S+)?", rf"instance={page.url} job=kube-proxy\1", line) for line in printed]
    found = by_family(lines)
    del found["up"]
    assert found == by_family(expected)


def test_the_articles_log_lines(shared_dir: Path, page: Page, tmp_path: Path) -> None:
    """The same places and texts in the same order on stderr, and nothing of them on stdout."""
    article = (shared_dir / "article/test-output.stderr.txt").read_text().splitlines()
    write_config(tmp_path / "conf", page.url)
    code, out, error = run("--test", "--once", "--inputs", "prometheus", cwd=tmp_path)
    assert code == 0
    assert "I!" not in out

    def comparable(line: str) -> str:
        time_less = re.sub(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "", line)
        return re.sub(r"(runner\.\w+:).*", r"\1", time_less)

    assert [comparable(line) for line in error.splitlines()] == [comparable(line) for line in article]
    assert f"runner.hostname: {os.uname().nodename}" in error


def test_the_newer_dialect(page: Page, tmp_path: Path) -> None:
    """Unix seconds first, and the log lines of the newer versions."""
    config = write_config(tmp_path / "conf", page.url)
    code, out, error = run("--test", "--once", "--dialect", "v0.4", "--configs", str(config))
    assert code == 0
    assert re.match(r"\d{10} \d\d:\d\d:\d\d up agent_hostname=", out)
    assert "metrics_agent.go:329: I! input: local.prometheus started" in error


def wait_for_scrapes(stdout: IO[str], count: int) -> None:
    while count:
        count -= " up " in stdout.readline()


def test_sighup_in_test_mode(page: Page, tmp_path: Path) -> None:
    """The changed configuration counts from the next lines on."""
    config = write_config(tmp_path / "conf", page.url, interval="100ms")
    with start("--test", "--configs", str(config)) as process:
        assert process.stdout is not None
        wait_for_scrapes(process.stdout, 1)
        plugin = config / "input.prometheus/prometheus.toml"
        plugin.write_text(plugin.read_text().replace("kube-proxy", "other"))
        process.send_signal(signal.SIGHUP)
        while " job=other 1" not in process.stdout.readline():
            pass
        process.terminate()
        _, error = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
    assert "I! reading the configuration again: SIGHUP" in error


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_test_mode_goes_on_until_a_signal(number: signal.Signals, page: Page, tmp_path: Path) -> None:
    """Again every interval; then exit 0."""
    config = write_config(tmp_path / "conf", page.url, interval="100ms")
    with start("--test", "--configs", str(config)) as process:
        assert process.stdout is not None
        wait_for_scrapes(process.stdout, 3)
        process.send_signal(number)
        _, error = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
    assert "I! received signal: " in error
    assert error.splitlines()[-1].endswith("I! exited")


def test_a_reader_that_has_seen_enough_ends_it(page: Page, tmp_path: Path) -> None:
    """`--test | head -1`; the original goes on for ever."""
    config = write_config(tmp_path / "conf", page.url, interval="100ms")
    with start("--test", "--configs", str(config)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read()
        assert process.wait(DEADLINE_SECONDS) == 0
    assert "Traceback" not in error
    assert "internal error" not in error


def test_a_target_that_does_not_answer(tmp_path: Path) -> None:
    """`up` 0, an error line, exit 1."""
    config = write_config(tmp_path / "conf", "http://127.0.0.1:1/metrics")
    code, out, error = run("--test", "--once", "--configs", str(config))
    assert code == 1
    assert out.splitlines()[0].endswith(" job=kube-proxy 0")
    assert "E! failed to query url: http://127.0.0.1:1/metrics" in error


def test_other_inputs_only(page: Page, tmp_path: Path) -> None:
    """Nothing is scraped, nothing printed; the name is said."""
    config = write_config(tmp_path / "conf", page.url)
    code, out, error = run("--test", "--once", "--inputs", "cpu", "--configs", str(config))
    assert (code, out) == (0, "")
    assert "W! " in error
    assert "no input 'cpu'" in error
    assert "input: local.prometheus started" not in error


def test_a_bad_configuration(tmp_path: Path) -> None:
    """Exit 1, every error as a line of its own."""
    config = write_config(tmp_path / "conf", "nowhere")
    (config / "z.toml").write_text('[kpwatch]\nqueue_bytes = "1"\n')
    code, out, error = run("--configs", str(config))
    assert (code, out) == (1, "")
    assert error.count("F! failed to init config: ") == 2
    assert f"{config}/z.toml:2: [kpwatch] queue_bytes: '1': expected a whole number above 0" in error


def test_no_configuration(tmp_path: Path) -> None:
    """Exit 1 with the original's words."""
    code, _, error = run(cwd=tmp_path)
    assert code == 1
    assert "F! failed to init config: conf/config.toml: configuration file(conf/config.toml) not found" in error


def test_called_as_categraf(page: Page, tmp_path: Path) -> None:
    """A symlink by that name is `kpwatch agent`, and finds `conf` beside itself."""
    program = Path(sys.executable).parent / "kpwatch"
    require(program if program.exists() else None, "the installed script kpwatch")
    install = tmp_path / "install"
    write_config(install / "conf", page.url)
    (install / "categraf").symlink_to(program)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    process = subprocess.run(
        [install / "categraf", "--test", "--once", "--inputs", "prometheus"],
        capture_output=True, text=True, cwd=elsewhere, env=environment(), timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert " up agent_hostname=" in process.stdout
    assert f"runner.binarydir: {install}\n" in process.stderr


DIRECTORIES = [
    ("asked", {"KPWATCH_CONFIGS": "ours", "CATEGRAF_CONFIGS": "theirs"}, "asked"),
    ("", {"KPWATCH_CONFIGS": "ours", "CATEGRAF_CONFIGS": "theirs"}, "ours"),
    ("", {"CATEGRAF_CONFIGS": "theirs"}, "theirs"),
    ("", {}, "conf"),
]


@pytest.mark.parametrize(("asked", "variables", "found"), DIRECTORIES)
def test_where_the_configuration_is(asked: str, variables: dict[str, str], found: str) -> None:
    """--configs, ours, theirs, conf."""
    assert config_directory(asked, variables, "/usr/bin/kpwatch") == found


def test_debug_prints_what_it_sends(page: Page, tmp_path: Path) -> None:
    """The lines of --test on stdout, and the samples to the receiver."""
    config = write_config(tmp_path / "conf", page.url)
    with Receiver() as receiver:
        main = (config / "config.toml").read_text().replace("http://127.0.0.1:1", receiver.url(""))
        (config / "config.toml").write_text(main)
        code, out, error = run("-debug", "--once", "--configs", str(config))
        assert {sample.name for sample in receiver.taken} == ABOUT_NAMES | {"a"}
    assert code == 0, error
    assert [line.split(" ", 1)[1] for line in out.splitlines()] == [
        f"up agent_hostname={HOSTNAME} instance={page.url} job=kube-proxy 1",
        f"a agent_hostname={HOSTNAME} instance={page.url} job=kube-proxy 1",
    ]


def test_targets_of_a_list(page: Page, tmp_path: Path) -> None:
    """`file_sd` beside the file that names it, in --test too."""
    config = write_config(tmp_path / "conf", page.url)
    (config / "input.prometheus/prometheus.toml").write_text('[[instances]]\nfile_sd = ["t.json"]\n')
    (config / "input.prometheus/t.json").write_text(f'[{{"targets": ["{page.url}"], "labels": {{"rack": "r1"}}}}]')
    code, out, error = run("--test", "--once", "--configs", str(config))
    assert code == 0, error
    assert out.splitlines()[1].endswith(f" a agent_hostname={HOSTNAME} instance={page.url} rack=r1 1")
    assert "input: local.prometheus started" in error
