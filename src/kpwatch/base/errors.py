"""Every error of ours, drawn before it is written.

    KpwatchError                     anything we say on purpose; the message is for the person who has to act
    ├── ConfigError                  a file we were given is wrong          -> exit 1
    ├── UsageError                   a command line is wrong                -> exit 2 (64 for doctor)
    ├── BadInput                     bytes from outside break a format      -> 400, counted, with their place
    │   ├── TooLarge                 ... or a limit                         -> 413
    │   ├── WrongType                ... or are of a kind that is not taken -> 415
    │   ├── OverLimit                ... or name too much; the rest is kept -> 400
    │   └── TooSlow                  ... or do not come in time             -> 408
    ├── NotFound                     nothing is there                       -> 404
    ├── Forbidden                    this user may not                      -> 403
    ├── ClientGone                   nobody waits for the answer any more
    ├── QueryError                   a query cannot be answered
    │   ├── BadQuery                 not PromQL, or not supported           -> 400 bad_data
    │   ├── QueryFailed              PromQL whose evaluation is not defined -> 422 execution
    │   ├── QueryTooLarge            over a limit                           -> 422 execution
    │   ├── QueryTimeout             over its time                          -> 503 timeout
    │   ├── TooBusy                  too many wait already                  -> 503 unavailable
    │   ├── UpstreamDown             the engine cannot be asked             -> 502 unavailable
    │   └── UpstreamSlow             ... or does not answer in time         -> 504 timeout
    └── StoreError                   the store cannot do it
        ├── StoreOverloaded          queue full; come back later            -> 429
        ├── StoreFull                no room on the disk                    -> 503
        └── StoreClosed              shutting down                          -> 503

A message names the thing, the value, the rule and the next step. Nobody outside `base` invents a new root.
"""

from __future__ import annotations


class KpwatchError(Exception):
    """Root of all errors we raise on purpose."""


class ConfigError(KpwatchError):
    """A configuration file is missing, unreadable or wrong."""


class UsageError(KpwatchError):
    """A command line is wrong."""


class BadInput(KpwatchError):
    """Bytes from outside break the format they claim to have."""


class TooLarge(BadInput):
    """Bytes from outside exceed a limit."""


class OverLimit(BadInput):
    """Some samples are over a limit of the store and are not kept; `samples` others of the same append are."""

    def __init__(self, message: str, samples: int, overwritten: int) -> None:
        super().__init__(message)
        self.samples = samples
        self.overwritten = overwritten


class WrongType(BadInput):
    """Bytes from outside are of a type or encoding that is not taken."""


class TooSlow(BadInput):
    """Bytes from outside did not arrive in time."""


class NotFound(KpwatchError):
    """There is nothing at this place."""


class Forbidden(KpwatchError):
    """Whoever asks may not have this done."""


class ClientGone(KpwatchError):
    """The client closed the connection before its request was complete; nobody is left to be told."""


class QueryError(KpwatchError):
    """A query cannot be answered."""


class BadQuery(QueryError):
    """The query is not PromQL, or uses what is not supported."""


class QueryFailed(QueryError):
    """The query parses, but its evaluation is not defined on this data."""


class QueryTooLarge(QueryError):
    """The query would touch more samples or steps than allowed."""


class QueryTimeout(QueryError):
    """The query took longer than allowed."""


class TooBusy(QueryError):
    """More queries are waiting than allowed; nothing is wrong with this one."""


class UpstreamDown(QueryError):
    """The engine that queries are passed on to cannot be reached, or its answer cannot be used."""


class UpstreamSlow(QueryError):
    """The engine that queries are passed on to does not answer within its time."""


class StoreError(KpwatchError):
    """The store cannot do what it was asked."""


class StoreOverloaded(StoreError):
    """More is waiting to be committed than allowed; try again later."""


class StoreFull(StoreError):
    """The disk has no room; reading goes on."""


class StoreClosed(StoreError):
    """The store is shutting down."""
