"""An answer in the form its client takes best: compressed, or "you have it already".

RFC 9110: a coding is taken when it is named (or `*` stands for it) with a weight above zero; of those with the highest
weight the first of `CODINGS` is chosen. Small answers are left alone. Compressing a big answer takes time, so `encoded`
belongs on the thread that made the answer.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.asgi import Answer, Head

OFFERS_KEPT = 64
"""Clients' headers whose meaning is remembered."""
WORTH_IT_BYTES = 1400
"""What fits into one packet anyway is not compressed."""
_FAST = 1
_GZIP_WINDOW = 31  # zlib's way to say: a gzip header and trailer
_VARY = ("vary", "accept-encoding")


def _zstd(body: bytes) -> bytes:
    import cramjam  # noqa: PLC0415 - a native library; most clients take gzip

    return bytes(cramjam.zstd.compress(body, level=_FAST))


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(_FAST, zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(body) + packer.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {"zstd": _zstd, "gzip": _gzip}


def accepted_coding(request: Head) -> str:
    """The coding for the answer to `request`; "" = as it is."""
    return _chosen(request.header(b"accept-encoding"))


@lru_cache(maxsize=OFFERS_KEPT)
def _chosen(offers: str) -> str:
    weights = dict(map(_weighed, offers.lower().split(",")))
    best, chosen = 0.0, ""
    for coding in CODINGS:
        weight = weights.get(coding, weights.get("*", 0.0))
        if weight > best:
            best, chosen = weight, coding
    return chosen if best >= weights.get("identity", 0.0) else ""


def _weighed(offer: str) -> tuple[str, float]:
    """`gzip;q=0.5` -> ("gzip", 0.5); a weight that is no number is none."""
    name, _, weight = offer.partition(";")
    text = weight.replace(" ", "").removeprefix("q=")
    try:
        return name.strip(), float(text) if text else 1.0
    except ValueError:
        return name.strip(), 0.0


def encoded(answer: Answer, coding: str) -> Answer:
    """The answer in `coding`, where that is worth it."""
    if not coding or len(answer.body) < WORTH_IT_BYTES:
        return answer
    headers = (*answer.headers, ("content-encoding", coding), _VARY)
    return replace(answer, body=CODINGS[coding](answer.body), headers=headers)


def unless_known(request: Head, answer: Answer) -> Answer:
    """The answer with an ETag, for documents that rarely change; 304 without a body where the client has it.

    The tag is weak: it stands for the document in any coding.
    """
    tag = f'W/"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    headers = (*answer.headers, ("etag", tag), ("cache-control", "no-cache"))
    known = {one.strip().removeprefix("W/") for one in request.header(b"if-none-match").split(",")}
    if known & {tag.removeprefix("W/"), "*"}:
        return replace(answer, status=304, body=b"", headers=(*headers, _VARY))
    return replace(answer, headers=headers)
