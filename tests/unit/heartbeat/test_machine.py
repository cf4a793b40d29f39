"""What is read of a machine: this one's own truth, and nothing where nothing can be read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from kpwatch.heartbeat.machine import Machine
from kpwatch.heartbeat.report import CpuTimes, Memory


def test_this_machine() -> None:
    """Agrees with what the system says elsewhere."""
    machine = Machine()
    info = machine.extend_info()
    assert machine.processors() == os.cpu_count()
    assert 0 < machine.cpu_times().idle < machine.cpu_times().total
    assert 0 < machine.memory().available < machine.memory().total
    assert info["memory"]["total"] == f"{machine.memory().total}kB"
    assert info["platform"]["kernel_release"] == os.uname().release
    assert info["platform"]["hostname"] == os.uname().nodename
    names = [name for _, name in socket.if_nameindex()]
    for interface in info["network"]["interfaces"]:
        assert interface["name"] in names
        assert interface["name"] != "lo"
        assert "ipv4" in interface or "ipv6" in interface
    for filesystem in info["filesystem"]:
        assert os.path.ismount(filesystem["mounted_on"]) or Path(filesystem["mounted_on"]).is_file()
        assert filesystem["kb_size"].isdigit()
    assert all(isinstance(value, str) for value in (*info["cpu"].values(), *info["platform"].values()))


def test_a_proc_of_the_host(tmp_path: Path) -> None:
    """HOST_PROC: another folder than /proc."""
    (tmp_path / "stat").write_text("cpu  1 1 1 7\n")
    (tmp_path / "meminfo").write_text("MemTotal: 10 kB\n")
    (tmp_path / "cpuinfo").write_bytes(b"model name : \xff\n")
    machine = Machine(str(tmp_path), str(tmp_path))
    assert machine.cpu_times() == CpuTimes(10, 7)
    assert machine.memory() == Memory(10, 0, 0)
    assert machine.extend_info()["cpu"] == {"model_name": "\ufffd"}


def test_nothing_to_read(tmp_path: Path) -> None:
    """Fields are empty, nothing fails."""
    machine = Machine(str(tmp_path), str(tmp_path))
    info = machine.extend_info()
    assert (machine.cpu_times(), machine.memory()) == (CpuTimes(0, 0), Memory())
    assert (info["cpu"], info["filesystem"]) == ({}, [])
