"""Every URL and every option of the hub has a heading in docs/reference, and nothing else has one."""

from __future__ import annotations

import re
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from kpwatch.api.routes import PROMETHEUS_PREFIXES, Route, routes
from kpwatch.cli.hub import _parser

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
LONG_PREFIX = PROMETHEUS_PREFIXES[1]
ROUTES = [
    route
    for route in routes(MagicMock())
    if not route.path.startswith(LONG_PREFIX) and route.path != "/prometheus/federate"
]


def sections(file: str) -> dict[str, str]:
    """Heading -> what stands below it."""
    parts = re.split(r"^### (.+)$", (REFERENCE / file).read_text(), flags=re.MULTILINE)[1:]
    return {heading: text.partition("\n## ")[0] for heading, text in zip(parts[::2], parts[1::2], strict=True)}


def heading(route: Route) -> str:
    return f"{', '.join(method for method in route.methods if method != 'HEAD')} `{route.path}`"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_url_has_a_heading(route: Route) -> None:
    """With its methods; its section names its parameters."""
    text = sections("http-api.md")[heading(route)]
    if "The same." not in text:
        assert [name for name in route.parameters if f"`{name.removesuffix('!')}`" not in text] == []


def test_no_heading_is_of_a_url_that_is_not_there() -> None:
    """Headings and routes are the same."""
    assert set(sections("http-api.md")) == set(map(heading, ROUTES))


def test_every_option_has_a_heading() -> None:
    """Options and headings are the same."""
    options = {action.option_strings[-1] for action in _parser()._actions} - {"--help"}
    assert {name.strip("`") for name in sections("hub.md")} == options
