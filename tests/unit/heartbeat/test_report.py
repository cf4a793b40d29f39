"""What the kernel's texts say of a machine, and the body that Nightingale gets."""

from __future__ import annotations

from typing import Any

import pytest

from kpwatch.heartbeat.options import HeartbeatOptions
from kpwatch.heartbeat.report import (
    CpuTimes,
    Memory,
    cpu_percent,
    device_mounts,
    go_architecture,
    heartbeat,
    ipv6_addresses,
    memory_percent,
    parse_cpu_info,
    parse_cpu_times,
    parse_memory,
    parse_os_release,
)

CPU_TIMES = [
    ("cpu  10 1 5 80 3 1 0 0 7 0\ncpu0 1 2 3 4\n", CpuTimes(100, 80)),
    ("cpu 1 2 3 4", CpuTimes(10, 4)),
    ("cpu 1 2 3", CpuTimes(0, 0)),
    ("", CpuTimes(0, 0)),
]


@pytest.mark.parametrize(("stat", "times"), CPU_TIMES)
def test_cpu_times(stat: str, times: CpuTimes) -> None:
    """From user to steal; guests are users already."""
    assert parse_cpu_times(stat) == times


BUSY = [
    (CpuTimes(100, 80), CpuTimes(200, 120), 60.0),
    (CpuTimes(100, 80), CpuTimes(100, 80), 0.0),
    (CpuTimes(100, 80), CpuTimes(50, 40), 0.0),
    (CpuTimes(100, 80), CpuTimes(0, 0), 0.0),
]


@pytest.mark.parametrize(("before", "after", "percent"), BUSY)
def test_cpu_percent(before: CpuTimes, after: CpuTimes, percent: float) -> None:
    """Between two looks; 0 where nothing can be said."""
    assert cpu_percent(before, after) == percent


MEMORY = [
    ("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\nSwapTotal: 7 kB\n", Memory(1000, 250, 7), 75.0),
    ("MemTotal: x\nnonsense", Memory(), 0.0),
]


@pytest.mark.parametrize(("text", "memory", "percent"), MEMORY)
def test_memory(text: str, memory: Memory, percent: float) -> None:
    """Available is what programs can get."""
    assert parse_memory(text) == memory
    assert memory_percent(memory) == percent


CPU_INFO = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 85
model name\t: Xeon: fast
stepping\t: 7
cpu MHz\t\t: 2500.000
cache size\t: 36608 KB
physical id\t: 0
siblings\t: 4
cpu cores\t: 2
flags\t\t: fpu

processor\t: 1
physical id\t: 1
siblings\t: 4
cpu cores\t: 2
"""


def test_cpu_info() -> None:
    """Strings; what is per socket times the sockets."""
    assert parse_cpu_info(CPU_INFO) == {
        "vendor_id": "GenuineIntel", "family": "6", "model": "85", "model_name": "Xeon: fast", "stepping": "7",
        "mhz": "2500.000", "cache_size": "36608 KB", "cpu_logical_processors": "8", "cpu_cores": "4",
    }  # fmt: skip
    assert parse_cpu_info("") == {}
    assert parse_cpu_info("cpu cores : 2") == {"cpu_cores": "2"}


def test_os_release() -> None:
    """Quoted or not."""
    assert parse_os_release('NAME="Debian GNU/Linux"\nVERSION_ID=12\n# x\n') == ("Debian GNU/Linux", "12")
    assert parse_os_release("") == ("", "")


def test_device_mounts() -> None:
    """Each device where it is mounted first; nothing that is no device."""
    mounts = (
        "proc /proc proc rw 0 0\n/dev/sda1 / ext4 rw 0 0\n/dev/sda1 /etc/hosts ext4 rw 0 0\n"
        "/dev/sdb1 /mnt/a\\040b\\134c ext4 rw 0 0\nbroken\n"
    )
    assert device_mounts(mounts) == [("/dev/sda1", "/"), ("/dev/sdb1", "/mnt/a b\\c")]


def test_ipv6_addresses() -> None:
    """The widest scope of an interface counts."""
    text = (
        "fe80000000000000020000fffe000001 02 40 20 80     eth0\n"
        "fd000000000000000000000000000002 02 40 00 80     eth0\n"
        "00000000000000000000000000000001 01 80 10 80       lo\nnonsense\n"
    )
    assert ipv6_addresses(text) == {"eth0": ("fd00::2", "fd00::/64"), "lo": ("::1", "::1/128")}


@pytest.mark.parametrize(("machine", "name"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("other", "other")])
def test_architectures(machine: str, name: str) -> None:
    """By Go's names."""
    assert go_architecture(machine) == name


def test_the_body() -> None:
    """Every field of Categraf's, numbers as numbers, labels as an object."""
    options = HeartbeatOptions("http://n", "node-a", "10.0.0.1", global_labels=(("region", "eu"),))
    info: dict[str, Any] = {"cpu": {}}
    body = heartbeat(
        options,
        version="v1",
        machine="x86_64",
        processors=4,
        cpu_util=12.345678,
        mem_util=50,
        unix_ms=1_700_000_000_000,
        extend_info=info,
    )
    assert body == {
        "agent_version": "v1", "os": "linux", "arch": "amd64", "hostname": "node-a", "cpu_num": 4, "cpu_util": 12.3457,
        "mem_util": 50, "unixtime": 1_700_000_000_000, "host_ip": "10.0.0.1", "global_labels": {"region": "eu"},
        "extend_info": {"cpu": {}},
    }  # fmt: skip
