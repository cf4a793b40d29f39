"""Forms may change at any scrape: what the receivers are told, markers included, does not."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from kpwatch.exposition.delta import DeltaParser
from kpwatch.model.encoded import FORMS, Form
from kpwatch.remote_write import snappy, v1, v2
from kpwatch.scrape.about import OwnSample
from kpwatch.scrape.encoder import SeriesEncoder
from kpwatch.scrape.forms import SPARE_SYMBOLS, FormEncoders
from tests.unit.exposition.bodies import body_sequences
from tests.unit.scrape.test_encoder import IDENTITY, UP
from tests.unit.scrape.wire import LIMIT_BYTES

if TYPE_CHECKING:
    from kpwatch.model.encoded import EncodedScrape

T0 = 1_700_000_000_000
OFF_V1, OFF_V2 = Form("off", "1.0"), Form("off", "2.0")


class Source:
    """A parser and encoders fed together, as a watch does it."""

    def __init__(self, *forms: Form) -> None:
        self.parser = DeltaParser()
        self.encoders = FormEncoders(
            forms, lambda form: SeriesEncoder(IDENTITY, form.ident, protocol=form.protocol), source=7
        )
        self.now_ms = T0

    def scrape(self, body: bytes | None, *forms: Form) -> dict[Form, EncodedScrape]:
        """One scrape, a failed one where `body` is None, when these forms are wanted."""
        self.now_ms += 1000
        if self.encoders.follow(forms):
            self.parser.forget()
        if body is None:
            self.parser.forget()
            self.encoders.end()
        else:
            self.encoders.feed(self.parser.feed(body))
        return self.encoders.encode(self.now_ms, [UP])


def told(scrape: EncodedScrape, form: Form) -> list[tuple[object, int, bytes]]:
    """Every sample of a scrape, in whatever form, markers in any order."""
    body = snappy.decompress(scrape.block, LIMIT_BYTES)
    series = (
        [(v1.decode_labels(one.label_block), one.samples) for one in v1.decode_series(body)]
        if form.protocol == "1.0"
        else [(one.labels, one.samples) for one in v2.decode_request(body)]
    )
    return sorted((labels, at_ms, struct.pack("<d", value)) for labels, samples in series for at_ms, value in samples)


@given(bodies=body_sequences(), protocols=st.lists(st.sampled_from(("1.0", "2.0")), min_size=8, max_size=8))
def test_a_change_of_protocol_loses_and_adds_nothing(bodies: list[bytes | None], protocols: list[str]) -> None:
    """Whatever version the writers want at each scrape: the samples are those of an encoder that never changed."""
    steady, changing = Source(OFF_V1), Source(OFF_V1)
    for body, protocol in zip(bodies, protocols * len(bodies), strict=False):
        (form, scrape), *others = changing.scrape(body, Form("off", protocol)).items()
        assert others == []
        assert scrape.source == 7
        assert told(scrape, form) == told(steady.scrape(body, OFF_V1)[OFF_V1], OFF_V1)


def test_the_change_takes_one_scrape() -> None:
    """One more scrape in the old form, for the spool to convert; from the next on the new one, and only that."""
    source = Source(OFF_V2)
    assert list(source.scrape(b"a 1\n", OFF_V2)) == [OFF_V2]
    assert list(source.scrape(b"a 2\n", OFF_V1)) == [OFF_V2]
    assert list(source.scrape(b"a 3\n", OFF_V1)) == [OFF_V1]
    assert list(source.scrape(b"a 3\n", *FORMS)) == [OFF_V1]
    assert list(source.scrape(b"a 3\n", *FORMS)) == list(FORMS)
    assert list(source.scrape(b"a 3\n", OFF_V1)) == list(FORMS)
    assert list(source.scrape(b"a 3\n", OFF_V1)) == [OFF_V1]


def test_before_the_first_scrape_a_change_costs_nothing() -> None:
    """Nothing is live yet, so nobody has to hand over."""
    source = Source(OFF_V2)
    assert list(source.scrape(b"a 1\n", OFF_V1)) == [OFF_V1]
    assert [len(told(scrape, OFF_V1)) for scrape in source.scrape(b"b 1\n", OFF_V1).values()] == [3]


def test_texts_of_series_long_gone_are_forgotten() -> None:
    """A target whose label values never come twice: requests stay small, and every end is still said."""
    source, steady = Source(OFF_V2), Source(OFF_V1)
    sizes = []
    for number in range(10 * SPARE_SYMBOLS):
        body = f'a{{n="{number}"}} 1\n'.encode()
        scrape = source.scrape(body, OFF_V2)[OFF_V2]
        sizes.append(len(snappy.decompress(scrape.block, LIMIT_BYTES)))
        if number % 50 == 0:
            assert told(scrape, OFF_V2) == told(steady.scrape(body, OFF_V1)[OFF_V1], OFF_V1)
        else:
            steady.scrape(body, OFF_V1)
    assert max(sizes) < 3 * sizes[SPARE_SYMBOLS]


def test_health_has_no_body_and_changes_too() -> None:
    """Encoders that are fed nothing but our own samples follow without a layout."""
    encoders = Source(OFF_V2).encoders
    own = [OwnSample("kpwatch_health", (("check", "a"),), 1.0)]
    encoders.encode(T0, own)
    encoders.follow((OFF_V1,))
    first = encoders.encode(T0 + 1000, own)
    second = encoders.encode(T0 + 2000, [])
    assert [len(told(scrape, form)) for form, scrape in (*first.items(), *second.items())] == [1, 1]
    assert list(second) == [OFF_V1]
