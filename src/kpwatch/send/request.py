"""What a request says of itself and of us. Pure but for the files that hold secrets, which are read for each request.

What the body is and who sends it cannot be overwritten by `headers` (Remote Write 1.0, "Protocol").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch import __version__
from kpwatch.base.errors import ConfigError
from kpwatch.base.http import basic_auth
from kpwatch.base.looks import read_file
from kpwatch.remote_write import v1
from kpwatch.remote_write.codecs import HEADERS
from kpwatch.send.options import FIXED_HEADERS

if TYPE_CHECKING:
    from kpwatch.model.encoded import Protocol
    from kpwatch.send.options import WriterOptions


def request_headers(options: WriterOptions, version: Protocol) -> dict[str, str]:
    """All headers but Host and Content-Length; raises ConfigError naming the secret's file that cannot be used."""
    headers = {
        "Content-Encoding": v1.CONTENT_ENCODING,
        **HEADERS[version],
        "User-Agent": f"kpwatch/{__version__}",
    }
    if authorization := _authorization(options):
        headers["Authorization"] = authorization
    headers.update((name, value) for name, value in options.headers if name.lower() not in FIXED_HEADERS)
    return headers


def _authorization(options: WriterOptions) -> str:
    token = options.bearer_token
    if options.bearer_token_file:
        token = _secret("bearer_token_file", options.bearer_token_file)
    if token:
        return f"Bearer {token}"
    if not options.basic_auth_user:
        return ""
    password = options.basic_auth_pass
    if options.basic_auth_pass_file:
        password = _secret("basic_auth_pass_file", options.basic_auth_pass_file)
    return basic_auth(f"{options.basic_auth_user}:{password}")


def _secret(key: str, path: str) -> str:
    """What the file holds, without the line's end; no message quotes it."""
    try:
        secret = read_file(path).decode().strip()
    except OSError as error:
        raise ConfigError(f"{key} {path!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{key} {path!r}: byte {error.start} is not UTF-8") from None
    if not secret:
        raise ConfigError(f"{key} {path!r}: it is empty")
    if not secret.isprintable():
        raise ConfigError(f"{key} {path!r}: expected one line of text")
    return secret
