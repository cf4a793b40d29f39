"""Protobuf's wire format: varints and the skipping of fields nobody asked for.

A field is a varint tag (`number << 3 | wire type`) and a value: wire type 0 a varint, 1 eight bytes, 2 a varint length
and that many bytes, 5 four bytes (protobuf.dev/programming-guides/encoding). Groups (3, 4) are refused.
"""

from __future__ import annotations

from kpwatch.base.errors import BadInput

_MAX_VARINT_BYTES = 10
_ONE_BYTE = tuple(bytes((number,)) for number in range(0x80))
"""Nearly all numbers in what we write are as small as these."""
_UINT64_MASK = 0xFFFFFFFFFFFFFFFF


def encode_varint(number: int) -> bytes:
    """`number` in [-2**63, 2**64) as a varint; a negative one takes ten bytes."""
    if 0 <= number <= 0x7F:
        return _ONE_BYTE[number]
    if 0 < number <= 0x3FFF:
        return bytes((number & 0x7F | 0x80, number >> 7))
    number &= _UINT64_MASK
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def decode_varint(body: bytes, position: int) -> tuple[int, int]:
    """(unsigned value, next position); raises BadInput where it is cut or longer than ten bytes."""
    value = 0
    shift = 0
    start = position
    try:
        while True:
            byte = body[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & _UINT64_MASK, position
            shift += 7
            if position - start >= _MAX_VARINT_BYTES:
                raise BadInput(f"protobuf: varint longer than ten bytes at byte {start}")
    except IndexError as error:
        raise BadInput(f"protobuf: body ends inside a varint at byte {start}") from error


def signed(value: int) -> int:
    """A varint's unsigned value as an int64."""
    return value - (1 << 64) if value >> 63 else value


def skip_field(body: bytes, tag: int, position: int, end: int) -> int:
    """Position behind the value of a field whose tag was just read; raises BadInput where it does not fit."""
    wire_type = tag & 7
    if wire_type == 0:
        _, after = decode_varint(body, position)
    elif wire_type == 1:
        after = position + 8
    elif wire_type == 2:
        length, begin = decode_varint(body, position)
        after = begin + length
    elif wire_type == 5:
        after = position + 4
    else:
        raise BadInput(f"protobuf: wire type {wire_type} of field {tag >> 3} at byte {position} is not supported")
    if after > end:
        raise BadInput(f"protobuf: field {tag >> 3} at byte {position} reaches byte {after}, its message ends at {end}")
    return after
