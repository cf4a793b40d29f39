"""The informers of one kube-proxy: long watches, and what they do when the API server does not answer as it should.

    connected --(5 to 10 min)--> renew the watch: one GET, 200
    broken    --> try at once, then after 0.8 s, doubled up to 30 s, each with up to as much again at random;
                  a server that answers no to a watch is asked for a list, one that does not answer is not
    works again --> found out by the next try, up to a minute later; everything missed arrives at once

(client-go's reflector; in 40 s of an unreachable server four informers make 24 requests, as captured.) What a watch
that broke does not deliver is kept for the next list. Only the first informer, EndpointSlices, carries changes.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from kpwatch.simulate.changes import Change
    from kpwatch.simulate.faults import Api

_FIRST_BACKOFF_SECONDS = 0.8
_LAST_BACKOFF_SECONDS = 30.0
_RENEW_SECONDS = (300.0, 600.0)
_MISSED_AT_MOST = 50
"""Changes kept for the next list; a list brings each object once, however often it changed."""
STREAMING_LISTS_SINCE = 35
"""From about here a list is a watch, and no list is timed unless that fails [seen in 1.36]."""
_SERVICE_CIDRS_SINCE = 33
_URLS_UNTIL = 26
"""Before, requests are timed for each URL; only those of EndpointSlices are simulated."""
_LIST_BYTES = 58_000
_ERROR_BYTES = 72


class _Trouble(NamedTuple):
    """What one `Api` state means. Times in seconds."""

    code: str = ""
    """Of the answers; "" = they are good."""
    slices_only: bool = False
    answers: bool = True
    """Whether HTTP answers come at all, so that requests are timed."""
    good_share: float = 0.0
    """Share of requests that are answered well all the same."""
    retry_seconds: float = 0.0
    """Said by Retry-After; 0 = the informer's own backoff."""
    watch_seconds: tuple[float, float] = _RENEW_SECONDS
    """How long a watch lasts."""
    relists: bool = False
    """Whether a watch that ends must list anew."""
    list_seconds: tuple[float, float] = (0.005, 0.04)
    wait_seconds: tuple[float, float] = (1e-6, 5e-6)
    """What the client's own rate limiter takes."""
    silent: bool = False
    """Nothing comes, and nobody notices."""


_TROUBLES: Mapping[Api, _Trouble] = {
    "works": _Trouble(),
    "watch-dead": _Trouble(silent=True),
    "slow": _Trouble(watch_seconds=(6.0, 18.0), relists=True, list_seconds=(2.0, 8.0)),
    "throttled": _Trouble(watch_seconds=(10.0, 30.0), relists=True, wait_seconds=(1.2, 3.5)),
    "overloaded": _Trouble(
        code="429", good_share=0.25, retry_seconds=1.0, watch_seconds=(5.0, 40.0), relists=True, list_seconds=(0.1, 3.0)
    ),
    "gone": _Trouble(code="404", slices_only=True),
    "forbidden": _Trouble(code="403"),
    "unauthorized": _Trouble(code="401"),
    "unreachable": _Trouble(code="<error>", answers=False),
}


def starts_with(api: Api) -> tuple[bool, bool]:
    """Whether a process that starts during `api` gets (its Node and Services, its EndpointSlices)."""
    trouble = _TROUBLES[api]
    bad = bool(trouble.code) and not trouble.good_share
    return not bad or trouble.slices_only, not bad


@dataclass(slots=True)
class _Informer:
    slices: bool
    next_at: float
    connected: bool
    lists: bool
    """Whether its next request is a list: at the start, and after an answer that says no to a watch."""
    backoff_seconds: float = _FIRST_BACKOFF_SECONDS


@dataclass(slots=True)
class Requests:
    """What was asked since the beginning."""

    by_code: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    """Requests that the client repeated because the server said when."""

    def count(self, code: str, times: int = 1) -> None:
        """`times` more answers with `code`."""
        self.by_code[code] = self.by_code.get(code, 0) + times


class ApiClient:
    """Informers from `born` on; `connected`: they were at it already, else all but the Node's begin at `others_at`.

    `chance` is the loop's own, drawn in its order.
    `observe(name, value)` takes the seconds of lists (`api_list`) and of the rate limiter (`api_wait`), and the bytes
    of the lists' requests and answers (`api_sent`, `api_received`).
    """

    def __init__(
        self,
        minor: int,
        born: float,
        others_at: float,
        chance: random.Random,
        observe: Callable[[str, float], None],
        *,
        connected: bool,
    ) -> None:
        self._minor = minor
        self._chance = chance
        self._observe = observe
        self.requests = Requests()
        count = 4 if minor >= _SERVICE_CIDRS_SINCE else 3
        first_at = [others_at] * (count - 1) + [born]
        if connected:
            first_at = [born + chance.uniform(1, _RENEW_SECONDS[1]) for _ in range(count)]
        self._informers = [_Informer(number == 0, at, connected, not connected) for number, at in enumerate(first_at)]
        self._silent = False
        self._missed: deque[Change] = deque(maxlen=_MISSED_AT_MOST)

    @property
    def next_at(self) -> float:
        """When the next request goes out."""
        return math.inf if self._silent else min(informer.next_at for informer in self._informers)

    @property
    def delivers(self) -> bool:
        """Whether a change that happens now arrives."""
        return self._informers[0].connected and not self._silent

    @property
    def connected(self) -> bool:
        """Whether everything that a start waits for has come."""
        return all(informer.connected for informer in self._informers)

    def miss(self, change: Change) -> None:
        """A change nobody told this node of."""
        self._missed.append(change)

    def turn(self, at: float, api: Api) -> list[Change]:
        """The API server is in another state from `at` on; what arrives because of that."""
        trouble = _TROUBLES[api]
        was_silent, self._silent = self._silent, trouble.silent
        for informer in self._informers:
            if trouble.code and (informer.slices or not trouble.slices_only):
                informer.connected = False
                informer.backoff_seconds = _FIRST_BACKOFF_SECONDS
                informer.next_at = at
            elif informer.connected and trouble.relists:
                informer.next_at = at + self._chance.uniform(0, trouble.watch_seconds[0])
        if was_silent and self.delivers:
            return self._all_missed()
        return []

    def step(self, at: float, api: Api) -> list[Change]:
        """The request that is due at `at` (= next_at); the changes it brings."""
        informer = min(self._informers, key=lambda one: one.next_at)
        trouble = _TROUBLES[api]
        if (
            trouble.code
            and (informer.slices or not trouble.slices_only)
            and self._chance.random() >= trouble.good_share
        ):
            self._fail(informer, at, trouble)
            return []
        return self._succeed(informer, at, trouble)

    def _fail(self, informer: _Informer, at: float, trouble: _Trouble) -> None:
        informer.connected = False
        listed, streamed = informer.lists, self._minor >= STREAMING_LISTS_SINCE
        # A streaming list that fails is tried again as a plain one.
        self.requests.count(trouble.code, 2 if listed and streamed and trouble.answers else 1)
        if listed:
            self._time_list(informer, trouble, _ERROR_BYTES)
        informer.lists = informer.lists or trouble.answers
        if trouble.retry_seconds:
            self.requests.retries += 1
            informer.next_at = at + trouble.retry_seconds * (1 + 0.2 * self._chance.random())
            return
        informer.next_at = at + informer.backoff_seconds * (1 + self._chance.random())
        informer.backoff_seconds = min(2 * informer.backoff_seconds, _LAST_BACKOFF_SECONDS)

    def _succeed(self, informer: _Informer, at: float, trouble: _Trouble) -> list[Change]:
        lists, streamed = informer.lists or trouble.relists, self._minor >= STREAMING_LISTS_SINCE
        self.requests.count("200", 2 if lists and not streamed else 1)
        if lists and not streamed:
            self._time_list(informer, trouble, _LIST_BYTES)
        informer.connected = True
        informer.lists = False
        informer.backoff_seconds = _FIRST_BACKOFF_SECONDS
        informer.next_at = at + self._chance.uniform(*trouble.watch_seconds)
        return self._all_missed() if informer.slices else []

    def _time_list(self, informer: _Informer, trouble: _Trouble, received_bytes: int) -> None:
        if self._minor < _URLS_UNTIL and not informer.slices:
            return
        self._observe("api_list", self._chance.uniform(*trouble.list_seconds))
        self._observe("api_wait", self._chance.uniform(*trouble.wait_seconds))
        self._observe("api_sent", 0.0)
        self._observe("api_received", float(received_bytes))

    def _all_missed(self) -> list[Change]:
        missed = list(self._missed)
        self._missed.clear()
        return missed
