"""Known incidents, named as people name them: `owner/repository#number`. Pure."""

from __future__ import annotations

import re

_INCIDENT = re.compile(r"(?P<owner>[A-Za-z0-9-]+)/(?P<repository>[A-Za-z0-9._-]+)#(?P<number>[1-9][0-9]*)")


def incident_url(incident: str) -> str:
    """The page of an issue, which also leads to a pull request of that number; raises ValueError for another form."""
    named = _INCIDENT.fullmatch(incident)
    if named is None:
        raise ValueError(f"incident {incident!r}: expected OWNER/REPOSITORY#NUMBER")
    return f"https://github.com/{named['owner']}/{named['repository']}/issues/{named['number']}"
