"""The edge: what the files of a configuration look like, to know when they have changed.

Looked at are the files that `files` would read and those that the options name: certificates, keys, passwords. Lists of
targets are not: whoever uses them looks by itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kpwatch.base.http import basic_credentials
from kpwatch.base.looks import Look, look_at
from kpwatch.base.tls import PEM_MARK
from kpwatch.config.options import OUR_INPUT
from kpwatch.scrape.discovery.options import KubernetesOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kpwatch.base.tls import TlsOptions
    from kpwatch.config.options import AgentOptions

_SECRET_BYTES = 64 << 10

Sight = tuple[tuple[str, Look | None], ...]
"""(path, what of it changes with its content), in order."""


def look_at_all(directory: str, named: Iterable[str]) -> Sight:
    """The configuration in `directory` and the files it names, as they are now."""
    paths = [*_toml(directory), *_toml(os.path.join(directory, f"input.{OUR_INPUT}")), *named]
    return tuple((path, look_at(path)) for path in paths)


def named_files(options: AgentOptions) -> tuple[str, ...]:
    """Files whose content is read when a connection is made or a request, not when the configuration is."""
    found: dict[str, None] = {}
    for tls in _tls(options):
        found.update(dict.fromkeys(tls_files(tls)))
    found.update(dict.fromkeys(_password_files(options)))
    if options.endpoint is not None:
        found.update(dict.fromkeys(path for path in (options.endpoint.cert_file, options.endpoint.key_file) if path))
    return tuple(found)


def secrets_in_files(options: AgentOptions) -> Iterator[str]:
    """What the files of passwords and tokens hold now, as it is and as Basic auth sends it."""
    for path, user in _password_files(options).items():
        try:
            with open(path, "rb") as file:
                secret = file.read(_SECRET_BYTES).decode().strip()
        except (OSError, UnicodeDecodeError):
            continue  # who uses it says so
        yield secret
        yield basic_credentials(f"{user}:{secret}")


def _password_files(options: AgentOptions) -> dict[str, str]:
    """File -> whose password it is."""
    found = {target.bearer_token_file: "" for target in options.targets}
    found |= {discovery.instance.shared.bearer_token_file: "" for discovery in options.discoveries}
    found |= {discovery.token_file: "" for discovery in options.discoveries if isinstance(discovery, KubernetesOptions)}
    for writer in options.writers:
        found |= {writer.bearer_token_file: "", writer.basic_auth_pass_file: writer.basic_auth_user}
    found.pop("", None)
    return found


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


def _toml(directory: str) -> list[str]:
    try:
        names = sorted(os.listdir(directory), key=os.fsencode)
    except OSError:
        return [directory]  # that it cannot be read is what there is to see
    return [os.path.join(directory, name) for name in names if name.endswith(".toml")]
