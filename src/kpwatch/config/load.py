"""A directory of files -> the agent's options; the only function others call is `load`.

    files -> documents -> sections (held against the key table) -> expanded -> AgentOptions

Every problem of every file is collected before anything is raised. The inputs are the directory, an environment and
the machine's name, all handed in, so that a configuration can be checked on another machine than it is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.config.build_agent import agent_options, writer_hosts
from kpwatch.config.build_kubernetes import finds_without_inputs
from kpwatch.config.checker import check, nearest
from kpwatch.config.expand import Expander
from kpwatch.config.files import input_names, read_input, read_root
from kpwatch.config.host import address_provider, serial_number
from kpwatch.config.input_keys import INPUT, INPUT_TABLES
from kpwatch.config.masked import hash_of, secrets_in
from kpwatch.config.options import OUR_INPUT, Loaded
from kpwatch.config.problems import Place, Report
from kpwatch.config.root_keys import ROOT, ROOT_TABLES
from kpwatch.config.sight import secrets_in_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from kpwatch.config.files import Document


def load(
    directory: Path,
    *,
    environment: Mapping[str, str],
    hostname: str,
    interval_override_seconds: float | None = None,
    inputs: AbstractSet[str] | None = None,
    serial: Callable[[], str] = serial_number,
) -> Loaded:
    """Read, check and expand the configuration in `directory`.

    `hostname` is the machine's name; `interval_override_seconds` wins over `[global] interval` but not over a plugin
    file's; `inputs` are the inputs asked for, None or empty for all. Raises BadConfig with every error found.
    """
    report = Report()
    root_document = read_root(directory, report)
    root = check(root_document, ROOT, ROOT_TABLES, _report_of(root_document, report))
    input_document = _input_document(directory, inputs or frozenset(), report, needed=not finds_without_inputs(root))
    plugin = None
    if input_document is not None:
        plugin = check(input_document, INPUT, INPUT_TABLES, _report_of(input_document, report))
    address = address_provider(environment, writer_hosts(root))
    expander = Expander(hostname=hostname, address=address, serial=serial, environment=environment)
    options = agent_options(root, plugin, expander, hostname, interval_override_seconds)
    report.raise_errors()
    tables = (root_document.tables, input_document.tables if input_document is not None else {})
    secrets = secrets_in(tables).union(secrets_in_files(options))
    return Loaded(options, tuple(report.warnings), hash_of(tables), secrets)


def _report_of(document: Document, report: Report) -> Report:
    """Where the findings in a document go: nowhere, if it could not be read and has nothing but absent keys."""
    return report if document.is_toml else Report()


def _input_document(directory: Path, asked: AbstractSet[str], report: Report, *, needed: bool) -> Document | None:
    """The document of input.prometheus, or None where it is not asked for or not there, which is said if `needed`."""
    present = input_names(directory)
    foreign = [name for name in present if name != OUR_INPUT and (not asked or name in asked)]
    if foreign:
        names = ", ".join(f"input.{name}" for name in foreign)
        report.warn(Place(str(directory)), "", f"not run: {names}; this agent has the input prometheus only")
    for name in sorted(asked - {OUR_INPUT} - set(present)):
        near = nearest(name, [OUR_INPUT])
        hint = f", did you mean {near!r}?" if near else "; this agent has the input prometheus only"
        report.warn(Place(str(directory)), "", f"no input {name!r}{hint}")
    if asked and OUR_INPUT not in asked:
        return None
    if OUR_INPUT not in present:
        if not needed:
            return None
        report.warn(Place(str(directory / f"input.{OUR_INPUT}")), "", "no such folder: nothing is scraped")
        return None
    return read_input(directory, OUR_INPUT, report)
