"""What is learnt of metrics from Remote Write 2.0, and how much of it is kept."""

from __future__ import annotations

import pytest

from kpwatch.model.metadata import FamilyMetadata
from kpwatch.receive.decode import Decoder
from kpwatch.receive.descriptions import Descriptions, family_of
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.remote_write import v2

Row = tuple[str, str, str, str]


def body(*rows: Row, at_ms: int = 1_700_000_000_000) -> bytes:
    """Series by name, type, help, unit."""
    table = v2.SymbolTable()
    parts = []
    for name, kind, help_text, unit in rows:
        block = v2.encode_labels((("__name__", name), ("ident", "a")), table)
        parts.append(v2.encode_series(block + v2.encode_metadata(kind, help_text, unit, table), [(at_ms, 1.0)]))
    return table.encode() + b"".join(parts)


@pytest.mark.parametrize(
    ("name", "kind", "family"),
    [
        ("x_bucket", "histogram", "x"), ("x_sum", "histogram", "x"), ("x_count", "summary", "x"), ("x", "summary", "x"),
        ("x_bucket", "gauge", "x_bucket"), ("x_total", "counter", "x_total"), ("x_gsum", "gaugehistogram", "x"),
    ],
)  # fmt: skip
def test_families(name: str, kind: str, family: str) -> None:
    """As Prometheus' metadata has them."""
    assert family_of(name, kind) == family


def test_what_is_said_is_known() -> None:
    """Once for each family; another wording beside the first; nothing said is nothing known."""
    known = Descriptions()
    known.learn(body(("h_bucket", "histogram", "Time.", "seconds"), ("h_sum", "histogram", "Time.", "seconds")))
    known.learn(body(("h_bucket", "histogram", "The time.", "seconds"), ("c_total", "counter", "", "")))
    known.learn(body(("plain", "unspecified", "", ""), ("odd", "unspecified", "Odd.", "")))
    assert known.families() == {
        "h": (FamilyMetadata("histogram", "seconds", "Time."), FamilyMetadata("histogram", "seconds", "The time.")),
        "c_total": (FamilyMetadata("counter", "", ""),),
        "odd": (FamilyMetadata("unknown", "", "Odd."),),
    }


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Families, wordings, and a wording's length."""
    monkeypatch.setattr("kpwatch.receive.descriptions.FAMILIES_MOST", 3)
    known = Descriptions()
    known.learn(body(*((f"m{number}", "gauge", "x" * 5000, "") for number in range(5))))
    assert list(known.families()) == ["m0", "m1", "m2"]
    known.learn(body(*(("m0", "gauge", str(number), "") for number in range(9))))
    assert len(known.families()["m0"]) == 4
    assert len(known.families()["m0"][0].help) == 1024
    assert known.refused == 2 + 6


def test_requests_without_news_are_read_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is new later is heard later."""
    read = []
    real = v2.decode_request
    monkeypatch.setattr("kpwatch.receive.descriptions.decode_request", lambda one: read.append(1) or real(one))
    known = Descriptions()
    for _ in range(1000):
        known.learn(body(("m", "gauge", "M.", "")))
    assert len(read) == 11  # 1, 2, then after 1, 2, 4, … more
    for _ in range(1024):
        known.learn(body(("new", "gauge", "N.", "")))
    assert "new" in known.families()


def test_a_decoder_tells_what_is_said() -> None:
    """From requests that are not known from end to end."""
    known = Descriptions()
    decoder = Decoder(ReceiveOptions(), descriptions=known)
    for at_ms in range(1_700_000_000_000, 1_700_000_060_000, 15_000):
        decoder.decode(body(("m", "gauge", "M.", "bytes"), at_ms=at_ms), "2.0")
    assert known.families() == {"m": (FamilyMetadata("gauge", "bytes", "M."),)}
