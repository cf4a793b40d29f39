"""The edge: what the kernel says of this machine, read from /proc and /sys; no program is run for it.

The original forks `df`, `uname` and `dmidecode`, and samples the processors for three seconds in every heartbeat; here
a look is a few small files, and how busy the processors were is counted from one heartbeat to the next.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpwatch.heartbeat.report import (
    Memory,
    device_mounts,
    go_architecture,
    ipv6_addresses,
    parse_cpu_info,
    parse_cpu_times,
    parse_memory,
    parse_os_release,
)

if TYPE_CHECKING:
    from kpwatch.heartbeat.report import CpuTimes

INTERFACE_LIMIT = 64
FILESYSTEM_LIMIT = 64
"""How many are listed at most: a node has an interface for every pod."""

_FILE_LIMIT_BYTES = 1 << 20
_GET_ADDRESS, _GET_NETMASK = 0x8915, 0x891B
"""SIOCGIFADDR and SIOCGIFNETMASK of Linux (netdevice(7))."""
_LOOPBACK = "lo"


class Machine:
    """Looks at one machine."""

    def __init__(self, proc_dir: str = "/proc", sys_dir: str = "/sys") -> None:
        self._proc = Path(proc_dir)
        self._sys = Path(sys_dir)

    def cpu_times(self) -> CpuTimes:
        """Of all processors together."""
        return parse_cpu_times(_text(self._proc / "stat"))

    def memory(self) -> Memory:
        """Of the whole machine, whatever this process may have of it."""
        return parse_memory(_text(self._proc / "meminfo"))

    def processors(self) -> int:
        """How many there are."""
        return os.cpu_count() or 1

    def extend_info(self) -> dict[str, Any]:
        """What hardly ever changes: processor, memory, network, platform, file systems."""
        memory = self.memory()
        return {
            "cpu": parse_cpu_info(_text(self._proc / "cpuinfo")),
            "memory": {"total": f"{memory.total}kB", "swap_total": f"{memory.swap_total}kB"},
            "network": self._network(),
            "platform": _platform(),
            "filesystem": _filesystems(_text(self._proc / "self" / "mounts")),
        }

    def _network(self) -> dict[str, Any]:
        ipv6 = ipv6_addresses(_text(self._proc / "net" / "if_inet6"))
        names = [name for _, name in socket.if_nameindex() if name != _LOOPBACK]
        interfaces = [found for name in names if len(found := self._interface(name, ipv6)) > 1][:INTERFACE_LIMIT]
        network: dict[str, Any] = {"interfaces": interfaces}
        first = next((interface for interface in interfaces if "ipv4" in interface), {})
        network["macaddress"] = first.get("macaddress", "")
        network["ipaddress"] = first.get("ipv4", "")
        if second := next((interface["ipv6"] for interface in interfaces if "ipv6" in interface), ""):
            network["ipaddressv6"] = second
        return network

    def _interface(self, name: str, ipv6: dict[str, tuple[str, str]]) -> dict[str, str]:
        """An interface with its addresses; nothing but its name where it has none."""
        found = {"name": name}
        address, mask = _ask_interface(name, _GET_ADDRESS), _ask_interface(name, _GET_NETMASK)
        if address and mask:
            network = socket.inet_ntoa(bytes(byte & bits for byte, bits in zip(address, mask, strict=True)))
            prefix = int.from_bytes(mask, "big").bit_count()
            found |= {"ipv4": socket.inet_ntoa(address), "ipv4-network": f"{network}/{prefix}"}
        if name in ipv6:
            found |= {"ipv6": ipv6[name][0], "ipv6-network": ipv6[name][1]}
        hardware = _text(self._sys / "class" / "net" / name / "address").strip()
        if hardware and len(found) > 1:
            found["macaddress"] = hardware
        return found


def _text(path: Path) -> str:
    """A file's beginning, or "" where it cannot be read: then its fields are left out."""
    try:
        with path.open("rb") as file:
            return file.read(_FILE_LIMIT_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _ask_interface(name: str, question: int) -> bytes:
    """Four bytes of an IPv4 address, or b"" where the interface has none."""
    request = struct.pack("16sH14x", name.encode()[:15], socket.AF_INET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            return fcntl.ioctl(asked, question, request)[20:24]
        except OSError:
            return b""


def _filesystems(mounts: str) -> list[dict[str, str]]:
    found = []
    for device, place in device_mounts(mounts)[:FILESYSTEM_LIMIT]:
        try:
            status = os.statvfs(place)
        except OSError:
            continue  # it is not ours to see; the others are listed
        size_kib = status.f_blocks * status.f_frsize // 1024
        found.append({"name": device, "kb_size": str(size_kib), "mounted_on": place})
    return found


def _platform() -> dict[str, str]:
    system = os.uname()
    name, version = parse_os_release(_text(Path("/etc/os-release")))
    return {
        "kernel_name": system.sysname,
        "hostname": system.nodename,
        "kernel_release": system.release,
        "kernel_version": system.version,
        "machine": system.machine,
        "processor": system.machine,
        "hardware_platform": system.machine,
        "os": "GNU/Linux",
        "os_name": name,
        "os_version": version,
        "GOOS": system.sysname.lower(),
        "GOARCH": go_architecture(system.machine),
        "goV": "",
        "pythonV": ".".join(map(str, sys.version_info[:3])),
    }
