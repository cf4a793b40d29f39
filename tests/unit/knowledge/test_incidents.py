"""Known incidents by name lead to their page."""

from __future__ import annotations

import pytest

from kpwatch.knowledge.incidents import incident_url


@pytest.mark.parametrize(
    ("incident", "url"),
    [
        ("kubernetes/kubernetes#105742", "https://github.com/kubernetes/kubernetes/issues/105742"),
        ("a-b/c.d_e#1", "https://github.com/a-b/c.d_e/issues/1"),
    ],
)
def test_incidents_have_a_page(incident: str, url: str) -> None:
    """An issue's, which leads on to a pull request."""
    assert incident_url(incident) == url


@pytest.mark.parametrize("incident", ["", "#1", "k/k", "k/k#", "k/k#01", "k/k/k#1", "k/k#1 ", "k /k#1", "k/k#1\n"])
def test_incidents_of_another_form_are_refused(incident: str) -> None:
    """They would lead nowhere."""
    with pytest.raises(ValueError, match="expected OWNER/REPOSITORY#NUMBER"):
        incident_url(incident)
