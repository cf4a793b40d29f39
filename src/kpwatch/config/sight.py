"""The edge: what the files of a configuration look like, to know when they have changed.

Looked at are the files that `files` would read and those that the options name (certificates, keys). Lists of targets
and token files are not: whoever uses them looks or reads by itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kpwatch.base.looks import Look, look_at
from kpwatch.base.tls import PEM_MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from kpwatch.base.tls import TlsOptions
    from kpwatch.config.options import AgentOptions

Sight = tuple[tuple[str, Look | None], ...]
"""(path, what of it changes with its content), in order."""


def look_at_all(directory: Path, named: Iterable[str], input_name: str) -> Sight:
    """The configuration in `directory` and the files it names, as they are now."""
    paths = [*_toml(directory), *_toml(directory / f"input.{input_name}"), *named]
    return tuple((path, look_at(path)) for path in paths)


def named_files(options: AgentOptions) -> tuple[str, ...]:
    """Files whose content is read when a connection is made, not when the configuration is."""
    found: dict[str, None] = {}
    for tls in _tls(options):
        found.update(dict.fromkeys(tls_files(tls)))
    if options.endpoint is not None:
        found.update(dict.fromkeys(path for path in (options.endpoint.cert_file, options.endpoint.key_file) if path))
    return tuple(found)


def tls_files(tls: TlsOptions) -> tuple[str, ...]:
    """The files of certificates and keys; PEM text is none."""
    return tuple(path for path in (tls.ca_file, tls.cert_file, tls.key_file) if path and PEM_MARK not in path)


def _tls(options: AgentOptions) -> Iterator[TlsOptions]:
    every = (
        *(target.tls for target in options.targets),
        *(discovery.instance.tls for discovery in options.discoveries),
        *(writer.tls for writer in options.writers),
        options.heartbeat.tls if options.heartbeat is not None else None,
    )
    return (tls for tls in every if tls is not None)


def _toml(directory: Path) -> list[str]:
    try:
        names = sorted(os.listdir(directory), key=os.fsencode)  # noqa: PTH208 - names are what is wanted
    except OSError:
        return [str(directory)]  # that it cannot be read is what there is to see
    return [str(directory / name) for name in names if name.endswith(".toml")]
