"""Who may ask, Basic and Bearer; the secrets come from `auth_file.py`.

Basic auth sends user and secret, `Authorization: Bearer secret` any user's secret. Plain secrets are kept as digests
and compared in constant time, and every one is compared whatever the first ones say.

A secret may be known as an argon2 hash (`$argon2id$…`). Verifying one takes tens of milliseconds and megabytes, by
design, so it is done on a thread, one at a time, and for so many waiting; and what came of it is remembered under a
digest with a key of this process, for the last `REMEMBERED` credentials, right or wrong: an agent is verified once.
"""

from __future__ import annotations

import asyncio
import binascii
import hashlib
import hmac
import os
from base64 import b64decode
from collections import OrderedDict
from typing import TYPE_CHECKING

from kpwatch.base.asgi import Answer
from kpwatch.base.errors import TooBusy

if TYPE_CHECKING:
    from kpwatch.base.asgi import Head
    from kpwatch.base.telemetry import Registry

OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
"""Probes carry no secrets."""
HASH_MARK = "$argon2"
REMEMBERED = 4096
"""Credentials whose verification is remembered; 32 bytes each."""
WAITING = 64
"""Verifications that may wait; more are answered 503, to be sent again."""

_CHALLENGE = (("www-authenticate", 'Basic realm="kpwatch", charset="UTF-8"'),)
_REFUSAL = Answer(401, b"authentication required: Basic, or Authorization: Bearer\n", headers=_CHALLENGE)
_NOBODY: frozenset[str] = frozenset()


class Gate:
    """Lets requests pass that carry one of the file's secrets. Event loop only."""

    def __init__(self, users: dict[str, str], telemetry: Registry) -> None:
        """`users`: user -> secret or argon2 hash."""
        self._key = os.urandom(32)
        self.admit(users)
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._refused = telemetry.counter(
            "kpwatch_hub_unauthenticated_requests_total", "Requests refused for want of a valid user and secret."
        )
        self._verifications = telemetry.counter(
            "kpwatch_hub_secret_verifications_total", "Credentials compared with argon2 hashes of the auth file."
        )

    def admit(self, users: dict[str, str]) -> None:
        """From now on these may pass, and nobody else."""
        plain = {user: secret for user, secret in users.items() if not secret.startswith(HASH_MARK)}
        self._basic = {user: _digest(f"{user}:{secret}".encode()) for user, secret in plain.items()}
        self._bearer = {user: _digest(secret.encode()) for user, secret in plain.items()}
        self._hashed = {user: secret for user, secret in users.items() if user not in plain}
        self._verified: OrderedDict[bytes, frozenset[str]] = OrderedDict()

    def knows(self, request: Head) -> bool:
        """Whether `refusal` can answer: no hash has to be computed first."""
        return request.path in OPEN_PATHS or self._users(request) is not None

    def refusal(self, request: Head) -> Answer | None:
        """None where the request may pass; what is not known (see `knows`) may not."""
        if request.path in OPEN_PATHS or self._users(request):
            return None
        self._refused.add()
        return _REFUSAL

    async def decide(self, request: Head) -> Answer | None:
        """As `refusal`, after any hash has been computed; raises TooBusy."""
        while not self.knows(request):  # again where other users were admitted meanwhile
            await self._verify(request)
        return self.refusal(request)

    def is_user(self, request: Head, user: str) -> bool:
        """Whether a request that has passed carries the secret of this user."""
        return user in (self._users(request) or _NOBODY)

    def _users(self, request: Head) -> frozenset[str] | None:
        """Whose secret the request carries; None where that is not known yet."""
        scheme, given = _credentials(request)
        if not scheme:
            return _NOBODY
        digest = _digest(given)
        lines = self._basic if scheme == "basic" else self._bearer
        found = frozenset([user for user, line in lines.items() if hmac.compare_digest(digest, line)])
        if found or not self._candidates(scheme, given):
            return found
        return self._verified.get(self._memo(scheme, given))

    def _candidates(self, scheme: str, given: bytes) -> dict[str, bytes]:
        """User -> the secret to compare with the user's hash."""
        if scheme == "bearer":
            return dict.fromkeys(self._hashed, given)
        user, _, secret = given.partition(b":")
        name = user.decode("utf-8", "replace")
        return {name: secret} if name in self._hashed else {}

    async def _verify(self, request: Head) -> None:
        scheme, given = _credentials(request)
        if self._waiting >= WAITING:
            raise TooBusy(f"{self._waiting} secrets wait to be verified already; try again shortly")
        self._waiting += 1
        try:
            async with self._turn:
                memo = self._memo(scheme, given)
                if memo in self._verified:
                    return  # the same sender's other connection was here first
                candidates = self._candidates(scheme, given)
                self._verifications.add(len(candidates))
                verified = self._verified
                hashes = {user: self._hashed[user] for user in candidates}
                verified[memo] = await asyncio.to_thread(_matching, hashes, candidates)
                if len(verified) > REMEMBERED:
                    verified.popitem(last=False)
        finally:
            self._waiting -= 1

    def _memo(self, scheme: str, given: bytes) -> bytes:
        return hashlib.blake2b(scheme.encode() + b" " + given, digest_size=32, key=self._key).digest()


def _credentials(request: Head) -> tuple[str, bytes]:
    """("basic", user:secret) or ("bearer", secret); ("", "") where there is neither."""
    scheme, _, rest = request.header(b"authorization").partition(" ")
    match scheme.lower():
        case "bearer":
            return "bearer", rest.strip().encode("latin-1")
        case "basic":
            try:
                return "basic", b64decode(rest.strip(), validate=True)
            except (binascii.Error, ValueError):
                return "", b""  # counted as refused
    return "", b""


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _matching(hashes: dict[str, str], candidates: dict[str, bytes]) -> frozenset[str]:
    return frozenset(user for user, secret in candidates.items() if matches(hashes[user], secret))


def matches(encoded: str, secret: bytes) -> bool:
    """Whether an argon2 hash is of `secret`."""
    from argon2 import PasswordHasher, exceptions  # noqa: PLC0415 - 45 ms, and few auth files have hashes

    try:
        return PasswordHasher().verify(encoded, secret)
    except exceptions.VerifyMismatchError:
        return False  # the request is refused and counted
