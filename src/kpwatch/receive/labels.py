"""Which series are admitted, and what their labels are once they are ours. Pure.

A request is taken whole or refused whole, so one bad series refuses it, and the sentence names that series: a sender
that gets 204 has everything stored. (Prometheus and Nightingale skip such series in silence.)

`ident` is the node's name. As Nightingale's `/prometheus/v1/write` does it: a non-empty `ident` stays; else
`agent_hostname` becomes `ident`; else, only where the sender asks with `?ignore_host=false`, `host` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.errors import BadInput
from kpwatch.model.labels import METRIC_NAME, make_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.receive.limits import ReceiveOptions

IDENT = "ident"
_SHOWN_CHARACTERS = 200

Pairs = tuple[tuple[str, str], ...]


def admit(pairs: Pairs, options: ReceiveOptions, *, host_is_ident: bool) -> Labels:
    """The labels a series is stored under; raises BadInput naming the series and the rule it breaks."""
    broken = _broken_rule(pairs, options)
    if broken:
        raise BadInput(f"series {series_text(pairs)}: {broken}; nothing of this request is stored")
    labels = {name: value for name, value in pairs if value}
    _name_the_node(labels, ("agent_hostname", "host") if host_is_ident else ("agent_hostname",))
    return make_labels(labels)


def series_text(pairs: Sequence[tuple[str, str]]) -> str:
    """A series for a sentence: `name{a="b"}`, cut to a length that fits one."""
    name = next((value for label, value in pairs if label == METRIC_NAME), "")
    inner = ",".join(f'{label}="{value}"' for label, value in pairs if label != METRIC_NAME)
    text = f"{name}{{{inner}}}"
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _broken_rule(pairs: Pairs, options: ReceiveOptions) -> str:
    """The rule that `pairs` break, as the end of a sentence; "" where they break none."""
    if not pairs:
        return "it has no labels at all"
    if len(pairs) > options.labels_per_series:
        return f"it has {len(pairs)} labels, the limit is {options.labels_per_series}"
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        return f'label "{twice}" comes more than once'
    if not dict(pairs).get(METRIC_NAME):
        return "it has no metric name (label __name__)"
    if "" in names:
        return "it has a label without a name"
    return next(filter(None, (_overlong(name, value, options) for name, value in pairs)), "")


def _overlong(name: str, value: str, options: ReceiveOptions) -> str:
    if len(name.encode()) > options.label_name_bytes:
        return f"a label name has {len(name.encode())} bytes, the limit is {options.label_name_bytes}"
    if len(value.encode()) > options.label_value_bytes:
        return f'label "{name}" has {len(value.encode())} bytes, the limit is {options.label_value_bytes}'
    return ""


def _name_the_node(labels: dict[str, str], sources: tuple[str, ...]) -> None:
    if IDENT in labels:
        return
    for source in sources:
        if source in labels:
            labels[IDENT] = labels.pop(source)
            return
