"""`kpwatch simulate`: a table of URLs that answer, until a signal."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_SECONDS = 60


@contextmanager
def simulate(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[list[str]]]]:
    """The process and its table, once it is complete; rows as words."""
    command = [sys.executable, "-m", "kpwatch", "simulate", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        rows = []
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
            rows.append(line.split())
        yield process, [row for row in rows if row]
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE_SECONDS)


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        body: bytes = answer.read()
    return body


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_every_url_in_the_table_answers_until_a_signal(number: signal.Signals):
    with simulate("--nodes", "8", "--listen", "127.0.0.1", "--fault", "frozen@8") as (process, (head, *rows)):
        assert head == ["NODE", "VERSION", "MODE", "METRICS", "HEALTH", "FAULTS"]
        assert [row[0] for row in rows][5:] == ["10.206.0.17", "10.206.32.1", "10.206.32.2"]
        assert [row[5] for row in rows] == ["-"] * 7 + ["frozen"]
        for _, version, _, metrics, health, _ in rows[:7]:
            assert f'git_version="v{version}"'.encode() in get(metrics)
            assert b"lastUpdated" in get(health)
        process.send_signal(number)
        assert process.wait(DEADLINE_SECONDS) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_node_that_fails_since_it_started_says_503():
    """Without START a fault was always there."""
    with simulate("--nodes", "1", "--listen", "127.0.0.1", "--fault", "sync-failing@1") as (_, (_, row)):
        with pytest.raises(urllib.error.HTTPError, match="503"):
            get(row[4])
        assert b'restore_failures_total{ip_family="IPv4"}' in get(row[3])


WRONG = (
    # arguments, what the message names
    (("--fault", "sync-failing"), "NAME@NODE"),
    (("--fault", "sync-failing@7"), "no such node"),
    (("--nodes", "0"), "1 to 10000"),
    (("--listen", "127.0.0.1:http"), "HOST:PORT"),
)


@pytest.mark.parametrize(("arguments", "named"), WRONG)
def test_a_wrong_command_line_is_exit_2_and_a_sentence(arguments: tuple[str, ...], named: str):
    done = run(*arguments)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_more_nodes_than_open_files_are_refused_with_the_number():
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))

    done = run("--nodes", "1000", few=few)
    assert done.returncode == 2
    assert "4064 open files, this process may have 200" in done.stderr


def run(*arguments: str, few: object = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kpwatch", "simulate", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
        preexec_fn=few,
    )
