"""Remote Write bodies -> frames, and what is remembered from one body to the next. Pure.

Two protocols, one result: the same samples give the same frames, whichever a sender speaks, and columns and layouts are
the same objects. Each has two paths: what is known but for values and time (tracks.py, courses.py, chains.py for 1.0;
runs.py, orders.py for 2.0), and all else; and for bodies that are known from end to end a short way (whole.py), which
is shorter still where they are known as they came (unopened.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.receive.buffer import Buffer
from kpwatch.receive.courses import Courses
from kpwatch.receive.descriptions import Descriptions
from kpwatch.receive.kinds import Kinds
from kpwatch.receive.layouts import Names
from kpwatch.receive.orders import Orders
from kpwatch.receive.runs import Runs
from kpwatch.receive.symbols import Symbols, Tables
from kpwatch.receive.unopened import Unopened
from kpwatch.receive.walk_v1 import WalkV1
from kpwatch.receive.walk_v2 import Memory, WalkV2
from kpwatch.receive.whole import known_1_0, known_2_0
from kpwatch.remote_write.snappy import content_length, decompress

if TYPE_CHECKING:
    from kpwatch.model.encoded import Protocol
    from kpwatch.receive.gather import Decoded
    from kpwatch.receive.limits import ReceiveOptions


class Decoder:
    """Decodes bodies and remembers names and runs between them. One thread at a time."""

    def __init__(
        self, options: ReceiveOptions, *, host_is_ident: bool = False, descriptions: Descriptions | None = None
    ) -> None:
        """`descriptions`: who is told what 2.0 says of its metrics."""
        self._descriptions = descriptions or Descriptions()
        names = Names(options, host_is_ident=host_is_ident)
        tables_bytes = options.run_cache_bytes // 4
        self._courses = Courses(options.run_cache_bytes // 2)
        self._buffer = Buffer()
        self._unopened = Unopened(options.run_cache_bytes // 4)
        runs, orders = Runs(options.run_cache_bytes // 8), Orders(options.run_cache_bytes // 8)
        symbols = Symbols(options, names)
        self._memory = Memory(names, symbols, Tables(tables_bytes), runs, Kinds(tables_bytes // 8), orders, options)

    def decode_block(self, block: bytes, protocol: Protocol = "1.0") -> Decoded:
        """All of a body that is a snappy block; raises as `decode`."""
        unopened = self._unopened.read(block, protocol)
        if unopened is not None:
            return unopened
        options, buffer = self._memory.options, self._buffer
        length = content_length(block, options.decoded_bytes)
        if not buffer.fill(block, length):
            return self.decode(decompress(block, options.decoded_bytes), protocol)
        if protocol == "2.0":
            known = known_2_0(buffer, self._memory)
        else:
            known = known_1_0(buffer, self._courses, options.samples_per_request)
        if known is None:
            return self._decode(buffer.body(), protocol, buffer)
        self._unopened.note(block, protocol, length, known)
        return known.decoded

    def decode(self, body: bytes, protocol: Protocol = "1.0") -> Decoded:
        """All of `body`; raises BadInput with what is wrong and where, TooLarge."""
        return self._decode(body, protocol, None)

    def _decode(self, body: bytes, protocol: Protocol, buffer: Buffer | None) -> Decoded:
        """`buffer` holds the body, and may be changed."""
        if protocol == "2.0":
            return self._decode_v2(body)
        memory = self._memory
        buffer = buffer or Buffer.holding(body)
        walk = WalkV1(memory.names, self._courses, body, buffer, memory.options.samples_per_request)
        walk.through()
        return walk.decoded()

    def _decode_v2(self, body: bytes) -> Decoded:
        walk = WalkV2(self._memory, body)
        if not walk.through():
            walk = WalkV2(self._memory, body, any_order=True)
            walk.through()
        decoded = walk.decoded()
        if decoded.metadata and decoded.in_runs < decoded.samples:
            self._descriptions.learn(body)
        return decoded

    def forgotten(self) -> int:
        """How many remembered things were dropped for want of room."""
        names, symbols, tables, runs, kinds, orders, _ = self._memory
        memories = (names, symbols, tables, runs, kinds, orders, self._courses, self._unopened)
        return sum(one.forgotten() for one in memories)
