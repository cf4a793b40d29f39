"""The units of deploy/systemd: what systemd itself says of them, and that the programs need no more than they allow."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kpwatch.cli.hub import _parser
from tests.conftest import REPOSITORY
from tests.receivers import Receiver
from tests.servers import Server, response, serves

UNITS = REPOSITORY / "deploy" / "systemd"
KPWATCH = str(Path(sys.executable).with_name("kpwatch"))
EXPOSURE = {"kpwatch-agent": 1.4, "kpwatch-hub": 1.5}
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
    """No worse than noted."""
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


def test_the_script_for_many_hosts_is_a_shells() -> None:
    """`sh -n` reads it, and it names files that are there."""
    script = REPOSITORY / "scripts" / "install-agent"
    subprocess.run(["/bin/sh", "-n", str(script)], check=True)
    assert "deploy/systemd/kpwatch-agent.service" in script.read_text()
