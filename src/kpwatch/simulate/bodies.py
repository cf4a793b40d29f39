"""The captures in the package: what real kube-proxies answered, and what they looked like when they did.

Everything a simulated node says starts from one of these. The archive is unpacked once per process (some 1.5 MB).
"""

from __future__ import annotations

import io
import lzma
import tarfile
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from kpwatch.base.errors import ConfigError

_ARCHIVE = "bodies.tar.xz"
_METRICS = ".metrics.txt"


@dataclass(frozen=True, slots=True)
class Capture:
    """One scrape of a real kube-proxy, named VERSION-MODE-SITUATION."""

    name: str
    metrics: bytes
    """Body of :10249/metrics."""

    @property
    def version(self) -> str:
        """As `1.36.3`."""
        return self.name.split("-")[0]

    @property
    def minor(self) -> int:
        """36 of 1.36.3."""
        return int(self.version.split(".")[1])

    @property
    def mode(self) -> str:
        """What :10249/proxyMode answers."""
        return self.name.split("-")[1]


@lru_cache(maxsize=1)
def captures() -> dict[str, Capture]:
    """All captures of the package by name."""
    packed = files("kpwatch.simulate").joinpath("data", _ARCHIVE).read_bytes()
    found: dict[str, Capture] = {}
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(packed)), mode="r:") as archive:
        for member in archive:
            reader = archive.extractfile(member)
            if reader is not None and member.name.endswith(_METRICS):
                name = member.name.removesuffix(_METRICS)
                found[name] = Capture(name, reader.read())
    return found


def capture(name: str) -> Capture:
    """The capture `name`; raises ConfigError naming those there are."""
    known = captures()
    if name not in known:
        raise ConfigError(f"no capture {name!r} in the package; there are {', '.join(sorted(known))}")
    return known[name]
