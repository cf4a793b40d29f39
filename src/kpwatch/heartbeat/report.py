"""What is said of a machine: the kernel's texts taken apart, and the body of a heartbeat. Pure.

The fields are Categraf's (heartbeat/heartbeat.go and the collectors beside it, which come from gohai), because
Nightingale shows them: numbers of `extend_info` are strings there. Only `hostname` is required. A text that cannot be
read gives fewer fields, never an error: a heartbeat that lacks a cache size is still a heartbeat.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kpwatch.heartbeat.options import HeartbeatOptions

_GO_ARCHITECTURES = {
    "x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386", "i386": "386",
    "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64", "loongarch64": "loong64",
}  # fmt: skip

_CPU_FIELDS = {
    "vendor_id": "vendor_id", "model name": "model_name", "cpu cores": "cpu_cores",
    "siblings": "cpu_logical_processors", "cpu MHz": "mhz", "cache size": "cache_size", "cpu family": "family",
    "model": "model", "stepping": "stepping",
}  # fmt: skip
_PER_SOCKET = ("cpu_cores", "cpu_logical_processors")

_COUNTED_TIMES = 8
_IDLE = 3
"""user nice system idle iowait irq softirq steal; guest times are within user."""


class CpuTimes(NamedTuple):
    """Time since boot, in ticks."""

    total: int
    idle: int


class Memory(NamedTuple):
    """In KiB; 0 where the kernel does not say."""

    total: int = 0
    available: int = 0
    swap_total: int = 0


def go_architecture(machine: str) -> str:
    """`uname -m` by Go's name."""
    return _GO_ARCHITECTURES.get(machine, machine)


def parse_cpu_times(stat: str) -> CpuTimes:
    """The first line of /proc/stat (proc(5)): all processors together."""
    line = stat.partition("\n")[0].split()
    times = [int(text) for text in line[1 : 1 + _COUNTED_TIMES] if text.isdigit()]
    return CpuTimes(sum(times), times[_IDLE]) if len(times) > _IDLE else CpuTimes(0, 0)


def cpu_percent(before: CpuTimes, after: CpuTimes) -> float:
    """How busy all processors were between two looks: what was not idle, waiting for disks included."""
    total = after.total - before.total
    return 100.0 * (total - (after.idle - before.idle)) / total if total > 0 else 0.0


def parse_memory(meminfo: str) -> Memory:
    """/proc/meminfo."""
    kib = {}
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()[:1]
        if number and number[0].isdigit():
            kib[name] = int(number[0])
    return Memory(kib.get("MemTotal", 0), kib.get("MemAvailable", 0), kib.get("SwapTotal", 0))


def memory_percent(memory: Memory) -> float:
    """What programs cannot get without swapping."""
    return 100.0 * (memory.total - memory.available) / memory.total if memory.total else 0.0


def parse_cpu_info(cpuinfo: str) -> dict[str, str]:
    """/proc/cpuinfo: the last processor's lines; counts per socket times the sockets."""
    found: dict[str, str] = {}
    sockets = set()
    for line in cpuinfo.splitlines():
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if name == "physical id":
            sockets.add(value)
        if colon and name in _CPU_FIELDS:
            found[_CPU_FIELDS[name]] = value
    for name in _PER_SOCKET:
        if found.get(name, "").isdigit():
            found[name] = str(int(found[name]) * max(len(sockets), 1))
    return found


def parse_os_release(text: str) -> tuple[str, str]:
    """(name, version) of /etc/os-release (os-release(5))."""
    pairs = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    return pairs.get("NAME", "").strip("\"'"), pairs.get("VERSION_ID", "").strip("\"'")


def device_mounts(mounts: str) -> list[tuple[str, str]]:
    """(device, where it is mounted) of /proc/self/mounts, each device once; what is no device has no size to tell."""
    found: dict[str, str] = {}
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) > 1 and words[0].startswith("/dev/"):
            found.setdefault(words[0], _unescaped(words[1]))
    return list(found.items())


def _unescaped(text: str) -> str:
    r"""The kernel writes blanks, tabs, newlines and backslashes as \040, \011, \012, \134."""
    for octal, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(octal, character)
    return text


def ipv6_addresses(if_inet6: str) -> dict[str, tuple[str, str]]:
    """Interface -> (address, network) by /proc/net/if_inet6; of several addresses the one of the widest scope."""
    found: dict[str, tuple[int, int, int]] = {}
    for line in if_inet6.splitlines():
        words = line.split()
        if len(words) != 6:
            continue  # no line of that file; nothing is lost but a field
        address, prefix, scope, name = int(words[0], 16), int(words[2], 16), int(words[3], 16), words[5]
        if name not in found or scope < found[name][0]:
            found[name] = (scope, address, prefix)
    return {name: (_ipv6(address), _ipv6_network(address, prefix)) for name, (_, address, prefix) in found.items()}


def _ipv6_network(address: int, prefix: int) -> str:
    rest = 128 - prefix
    return f"{_ipv6(address >> rest << rest)}/{prefix}"


def _ipv6(address: int) -> str:
    return socket.inet_ntop(socket.AF_INET6, address.to_bytes(16, "big"))


def heartbeat(
    options: HeartbeatOptions,
    *,
    version: str,
    machine: str,
    processors: int,
    cpu_util: float,
    mem_util: float,
    unix_ms: int,
    extend_info: Mapping[str, Any],
) -> dict[str, Any]:
    """The body of one heartbeat."""
    return {
        "agent_version": version,
        "os": "linux",
        "arch": go_architecture(machine),
        "hostname": options.hostname,
        "cpu_num": processors,
        "cpu_util": round(cpu_util, 4),
        "mem_util": round(mem_util, 4),
        "unixtime": unix_ms,
        "host_ip": options.host_ip,
        "global_labels": dict(options.global_labels),
        "extend_info": dict(extend_info),
    }
