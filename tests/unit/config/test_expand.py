"""Expansion, as the original does it (config/config.go `Expand`, Go's os.Expand)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import ConfigError
from kpwatch.config.expand import Expander, go_expand

ENVIRONMENT = {"HOSTNAME": "node-a", "A_1": "x", "QUOTED": 'a"b\\c', "EMPTY": "", "1": "one"}

CASES = [
    ("plain", "plain"),
    ("$hostname", "web"),
    ("$HOSTNAME", "node-a"),
    ("${HOSTNAME}:10249", "node-a:10249"),
    ("${hostname}", ""),
    ("$hostname_x", "web_x"),
    ("$hostname-$ip", "web-10.0.0.1"),
    ("$ipaddr", "10.0.0.1addr"),
    ("$sn!", "S-1!"),
    ("$A_1b", ""),
    ("${A_1}b", "xb"),
    ("$1", "one"),
    ("$12", "one2"),
    ("$$", ""),
    ("a$", "a$"),
    ("$/a", "$/a"),
    ("${", ""),
    ("${}x", "x"),
    ("${A_1", "A_1"),
    ("${*}", ""),
    ("$QUOTED", 'a\\"b\\\\c'),
    ("$MISSING$EMPTY", ""),
]


def expander(environment: dict[str, str] | None = None) -> Expander:
    return Expander(
        hostname="web",
        address=lambda: "10.0.0.1",
        serial=lambda: "S-1",
        environment=ENVIRONMENT if environment is None else environment,
    )


@pytest.mark.parametrize(("text", "becomes"), CASES)
def test_expansion(text: str, becomes: str) -> None:
    """One line per rule of the reference."""
    assert expander().expand(text) == becomes


def test_unset_variables_are_named() -> None:
    """Ours and those that are set, even to nothing, are not among them."""
    assert expander().unset("$hostname $ip $sn $EMPTY ${HOSTNAME} $MISSING ${GONE}") == ["MISSING", "GONE"]


def test_the_address_is_asked_only_where_it_is_needed() -> None:
    """A machine without a route can run what does not say $ip."""

    def no_address() -> str:
        raise ConfigError("no route")

    lonely = Expander(hostname="web", address=no_address, serial=str, environment={})
    assert lonely.expand("$hostname") == "web"
    with pytest.raises(ConfigError, match="no route"):
        lonely.expand("$ip")


@given(st.text(alphabet='ab${}_1*"\\/ ', max_size=20))
def test_text_without_names_only_loses_dollars(text: str) -> None:
    """Whatever the text: looking up nothing never adds anything and never fails."""
    result = go_expand(text, lambda _: "")
    assert len(result) <= len(text)
    if "$" not in text:
        assert result == text
