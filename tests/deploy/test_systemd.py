"""The units of deploy/systemd: what systemd itself says of them, and that the programs need no more than they allow."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from kpwatch.cli.hub import _parser
from tests.conftest import REPOSITORY
from tests.parts import program, require
from tests.receivers import Receiver
from tests.servers import Server, response, serves

UNITS = REPOSITORY / "deploy" / "systemd"
KPWATCH = str(Path(sys.executable).with_name("kpwatch"))
NOTED = (REPOSITORY / "docs" / "howto" / "hosts.md").read_text()
SCORES = re.findall(r"`(kpwatch-(?:agent|hub))` (?:an exposure|one) of ([0-9.]+)", NOTED)
EXPOSURE = {unit: float(score) for unit, score in SCORES}
"""By systemd 252: 0 is none, 10 is all; a unit without any hardening has 9.6."""


def here(name: str) -> str:
    """Path of a program, or a skip: systemd is no part of a container, and that is where CI may run."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"missing here: the program {name}")
    return path


def settings(unit: str) -> dict[str, list[str]]:
    """Key -> its values, in order."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / f"{unit}.service").read_text().splitlines():
        if line[:1].isalpha():
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("unit", EXPOSURE)
def test_exposure(unit: str) -> None:
    """No worse than the guide says."""
    command = [here("systemd-analyze"), "security", "--offline=true", str(UNITS / f"{unit}.service")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None, said[-500:]
    assert float(found[1]) <= EXPOSURE[unit]


@pytest.mark.parametrize("unit", EXPOSURE)
def test_systemd_knows_every_word(unit: str, tmp_path: Path) -> None:
    """With the program where the unit expects it there is nothing to complain of."""
    text = (UNITS / f"{unit}.service").read_text().replace("/usr/local/bin/kpwatch", "/bin/true")
    (tmp_path / f"{unit}.service").write_text(text)
    command = [here("systemd-analyze"), "verify", str(tmp_path / f"{unit}.service")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in done.stderr.splitlines() if unit in line] == []


def test_the_hubs_command_is_the_hubs() -> None:
    """Its own parser takes it, and the users file is the credential that the unit hands over."""
    [command] = settings("kpwatch-hub")["ExecStart"]
    program, verb, *arguments = command.split()
    assert (program, verb) == ("/usr/local/bin/kpwatch", "hub")
    assert _parser().parse_args(arguments).auth_file == Path("${CREDENTIALS_DIRECTORY}/users")
    assert settings("kpwatch-hub")["LoadCredential"] == ["users:/etc/kpwatch/users"]


def allowed(unit: str) -> set[str]:
    """The system calls that a unit's filters leave, expanded by systemd."""

    def expand(group: str) -> set[str]:
        command = [here("systemd-analyze"), "syscall-filter", group]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        names = [line.strip() for line in listed.splitlines() if line.startswith("    ")]
        calls = {name for name in names if name[0] not in "@#"}
        return calls.union(*(expand(name) for name in names if name.startswith("@")))

    result: set[str] = set(expand("@default"))
    for line in settings(unit)["SystemCallFilter"]:
        groups = set().union(*(expand(group) for group in line.removeprefix("~").split()))
        result = result - groups if line.startswith("~") else result | groups
    return result


def called(trace: Path) -> set[str]:
    """The system calls in a trace of strace -f."""
    return set(re.findall(r"^\d+ +([a-z0-9_]+)\(", trace.read_text(errors="replace"), re.MULTILINE))


@pytest.mark.slow
def test_the_agent_makes_no_call_that_is_filtered(tmp_path: Path) -> None:
    """A whole run: scrape, spool, send, end by SIGTERM."""
    strace, filtered = here("strace"), allowed("kpwatch-agent")
    with Server(serves(lambda _: response(b"m 1\n"))) as target, Receiver() as receiver:
        conf, trace = tmp_path / "conf", tmp_path / "trace"
        (conf / "input.prometheus").mkdir(parents=True)
        (conf / "config.toml").write_text(
            f'[[writers]]\nurl = "{receiver.url("/w")}"\n[kpwatch]\nhttp_address = "127.0.0.1:0"\n'
        )
        (conf / "input.prometheus" / "p.toml").write_text(f'[[instances]]\nurls = ["{target.url()}"]\n')
        command = [strace, "-f", "-qq", "-o", str(trace), KPWATCH, "agent", "--configs", str(conf)]
        environment = {**os.environ, "STATE_DIRECTORY": str(tmp_path / "state")}
        agent = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            receiver.wait_for_samples(lambda taken: any(one.name == "m" for one in taken), "a sample")
        finally:
            os.killpg(agent.pid, signal.SIGTERM)
            agent.wait(60)
    assert {"socket", "fdatasync"} <= called(trace)
    assert called(trace) - filtered == set()


INSTALL = """
mkdir -p "$1/root/usr/local/bin" && { [ -d "$1/root/etc" ] || cp -a /etc "$1/root/etc"; }
for place in etc usr/local/bin; do mount --bind "$1/root/$place" "/$place"; done
mkdir -p /etc/systemd/system
cd "$1/sent" && PATH="$1/bin:$PATH" PREFIX="$1/root/opt" exec sh scripts/install-agent
"""
"""In a mount namespace of its own: what the script changes of a host is folders of the test's."""


def a_wheel(folder: Path) -> None:
    """Kpwatch as a wheel, its dependencies left out: they are not needed to look at a configuration."""
    about = "Metadata-Version: 2.1\nName: kpwatch\nVersion: 0.1.0\n"
    files = {f"kpwatch-0.1.0.dist-info/{name}": text for name, text in (
        ("METADATA", about),
        ("WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        ("entry_points.txt", "[console_scripts]\nkpwatch = kpwatch.__main__:main\n"),
        ("RECORD", ""),
    )}  # fmt: skip
    here = Path(sysconfig.get_path("purelib"))
    parts = [REPOSITORY / "src" / "kpwatch", here / "cramjam", here / "httptools"]
    with zipfile.ZipFile(folder / "kpwatch-0.1.0-py3-none-any.whl", "w") as wheel:
        for part in parts:
            for path in sorted(path for kind in ("py", "toml", "so") for path in part.rglob(f"*.{kind}")):
                wheel.write(path, path.relative_to(part.parent))
        for name, text in files.items():
            wheel.writestr(name, text)


def install(folder: Path) -> tuple[list[str], list[str]]:
    """Runs the script; what it said, and what it told systemd."""
    (folder / "told").write_text("")
    command = ["unshare", "-m", "--propagation", "private", "sh", "-ec", INSTALL, "sh", str(folder)]
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, env=bare, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("kpwatch: ")]
    return said, (folder / "told").read_text().splitlines()


@pytest.mark.slow
def test_the_script_for_many_hosts(tmp_path: Path) -> None:
    """Again it changes nothing; another configuration is put in place without a restart, a bad one is not."""
    require(program("unshare") if os.geteuid() == 0 else None, "root, for a mount namespace")
    sent, etc = tmp_path / "sent", tmp_path / "root" / "etc"
    for name in ("scripts/install-agent", "deploy/systemd/kpwatch-agent.service"):
        (sent / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, sent / name)
    (sent / "wheels").mkdir()
    a_wheel(sent / "wheels")
    shutil.copytree(REPOSITORY / "deploy" / "kubernetes" / "agent" / "config", sent / "conf")
    (sent / "conf" / "input.prometheus").mkdir()
    (sent / "conf" / "prometheus.toml").rename(sent / "conf" / "input.prometheus" / "prometheus.toml")
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/told\n')
    systemctl.chmod(0o755)

    said, told = install(tmp_path)
    assert (said[-1], told) == (
        "kpwatch: restarted",
        ["daemon-reload", "enable --quiet kpwatch-agent", "restart kpwatch-agent"],
    )
    assert (etc / "systemd/system/kpwatch-agent.service").read_text() == (UNITS / "kpwatch-agent.service").read_text()
    program_there = tmp_path / "root" / "usr/local/bin/kpwatch"
    assert program_there.is_symlink()
    assert os.access(program_there, os.X_OK)

    quiet = ["enable --quiet kpwatch-agent", "is-active --quiet kpwatch-agent"]
    assert install(tmp_path) == (["kpwatch: nothing to restart"], quiet)
    config = sent / "conf" / "config.toml"
    config.write_text(config.read_text().replace("interval = 15", "interval = 30"))
    assert install(tmp_path) == (["kpwatch: renewing /etc/kpwatch/config.toml", "kpwatch: nothing to restart"], quiet)
    good = (etc / "kpwatch" / "config.toml").read_text()
    assert good == config.read_text()
    config.write_text(good + "[[writers]]\nurl = 7\n")
    with pytest.raises(AssertionError, match="url"):
        install(tmp_path)
    assert (etc / "kpwatch" / "config.toml").read_text() == good
