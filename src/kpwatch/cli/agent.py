"""`kpwatch agent`: flags, configuration, the first log lines, and the agent; signals end it, drained.

Flags are Categraf's (see `goflags`) and some of ours. The directory of the configuration is --configs, else
KPWATCH_CONFIGS, else CATEGRAF_CONFIGS, else `conf`; relative to the working directory. Categraf goes to its
executable's directory first; called as `categraf` we look there if the working directory has none.

Changed files and SIGHUP have the configuration read again (`operate.reload`).

`kpwatch agent spool --inspect DIR` shows what waits on disk (see `agent_spool`).

Exit: 0 after a signal, 1 bad configuration, 2 bad usage; --once: 1 if a target did not answer.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, cast

from kpwatch import __version__
from kpwatch.cli.goflags import Flag, FlagError, Flags, HelpAsked, parse, usage

if TYPE_CHECKING:
    from kpwatch.base.logs import Logger
    from kpwatch.config.apart import Question, Reading
    from kpwatch.config.options import Loaded
    from kpwatch.exposition.categraf_view import Dialect
    from kpwatch.operate.reload import Configuration

CATEGRAF = "categraf"

FLAGS = (
    Flag("configs", "string", "directory of the configuration (else $KPWATCH_CONFIGS, $CATEGRAF_CONFIGS, conf)", ""),
    Flag("test", "bool", "print samples instead of sending them, again every interval", False),
    Flag("once", "bool", "gather once and exit: 0 if every target answered, else 1", False),
    Flag("inputs", "string", "inputs to run, separated by colons (there is one: prometheus); empty: all", ""),
    Flag("interval", "int", "seconds between scrapes; wins over [global] interval", 0),
    Flag("debug", "bool", "debug log lines; samples are printed and sent", False),
    Flag("debug-level", "int", "accepted; there is one level", 0),
    Flag(
        "dialect", "string", "printed lines: v0.2 (time first) or v0.4 (unix seconds first)", "v0.2", ("v0.2", "v0.4")
    ),
    Flag(
        "log-format",
        "string",
        "log lines: categraf (the original's), logfmt or json",
        "categraf",
        ("categraf", "logfmt", "json"),
    ),
    Flag("version", "bool", "print the version", False),
    Flag("install", "bool", "not here: see deploy/systemd", False),
    Flag("remove", "bool", "not here: see deploy/systemd", False),
    Flag("start", "bool", "not here: see deploy/systemd", False),
    Flag("stop", "bool", "not here: see deploy/systemd", False),
    Flag("status", "bool", "not here: see deploy/systemd", False),
    Flag("user", "bool", "not here: see deploy/systemd", False),
    Flag("update", "bool", "not here: this agent never replaces itself", False),
    Flag("update_url", "string", "not here: this agent never replaces itself", ""),
)

_ELSEWHERE = {
    **dict.fromkeys(
        ("install", "remove", "start", "stop", "status", "user"),
        "services are the system's business: use systemctl with the unit in deploy/systemd, or the DaemonSet",
    ),
    **dict.fromkeys(
        ("update", "update_url"), "this agent never replaces itself: install another version, or change the image"
    ),
}
"""Flags of the original for what is done elsewhere here: exit 1, so that no script takes it as done."""


def main(arguments: list[str]) -> int:
    """Run the verb; gives the exit code."""
    if arguments[:1] == ["spool"]:
        from kpwatch.cli import agent_spool

        return agent_spool.main(arguments[1:])
    try:
        flags = parse(FLAGS, arguments)
    except FlagError as error:
        print(error, file=sys.stderr)
        print(usage("kpwatch agent", FLAGS), end="", file=sys.stderr)
        return 2
    except HelpAsked:
        print(usage("kpwatch agent", FLAGS), end="", file=sys.stderr)
        return 0
    if flags.on("version"):
        print(f"kpwatch {__version__}")
        return 0
    for name, sentence in _ELSEWHERE.items():
        if flags.values[name]:
            print(f"kpwatch agent -{name}: {sentence}", file=sys.stderr)
            return 1
    return _run(flags)


def _run(flags: Flags) -> int:
    from kpwatch.config.apart import Reading

    reading = Reading(question := _question(flags))  # goes on while we import what an agent is made of
    from kpwatch.base.logs import Logger
    from kpwatch.cli import startup

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to read again it would end the process
    dialect = cast("Dialect", flags.text("dialect"))
    log = Logger(level="D" if flags.on("debug") else "I", form=flags.text("log-format"))
    startup.say_machine(log, dialect)
    configuration = _configuration(question, reading, log, once=flags.on("once"))
    if configuration is None:
        return 1
    loaded = configuration.loaded
    log.conceal(loaded.secrets)
    for warning in loaded.warnings:
        log.warning(str(warning))
    if flags.rest:
        log.warning(f"ignored on the command line: {' '.join(flags.rest)}")
    if os.environ.get("WAIT_HOSTS"):
        from kpwatch.cli.wait_hosts import wait_for_hosts

        wait_for_hosts(os.environ["WAIT_HOSTS"], log)
    startup.say_inputs(log, dialect, has_targets=bool(loaded.options.targets or loaded.options.discoveries))
    try:
        return _gather(flags, configuration, dialect, log)
    finally:
        log.flush()


def _question(flags: Flags) -> Question:
    from kpwatch.config.apart import Question

    return Question(
        directory=config_directory(flags.text("configs"), os.environ, sys.argv[0]),
        hostname=os.uname().nodename,
        interval_override_seconds=max(flags.number("interval"), 0) or None,
        inputs=frozenset(name.strip() for name in flags.text("inputs").split(":") if name.strip()),
    )


def _configuration(question: Question, reading: Reading, log: Logger, *, once: bool) -> Configuration | None:
    """The configuration and how it is read again, or None after every error in it has been said."""
    from kpwatch.cli import running  # noqa: F401 - most of an agent is imported before the files are waited for
    from kpwatch.config.apart import load_apart
    from kpwatch.config.problems import BadConfig
    from kpwatch.config.sight import Sight, look_at_all, named_files
    from kpwatch.operate.reload import Configuration

    def look(loaded: Loaded) -> Sight:
        return look_at_all(question.directory, named_files(loaded.options))

    try:
        loaded = reading.outcome()
    except BadConfig as bad:
        for warning in bad.warnings:
            log.warning(str(warning))
        for problem in bad.problems:
            log.fatal(f"failed to init config: {problem}")
        return None
    return Configuration(lambda: load_apart(question), look, _beside_a_running_agent(loaded) if once else loaded)


def config_directory(asked: str, environment: os._Environ[str] | dict[str, str], program: str) -> str:
    """Where the configuration is; see the module's docstring."""
    directory = asked or environment.get("KPWATCH_CONFIGS") or environment.get("CATEGRAF_CONFIGS") or "conf"
    folder, name = os.path.split(os.path.abspath(program))
    beside = os.path.join(folder, directory)
    return beside if name == CATEGRAF and not os.path.exists(directory) and os.path.exists(beside) else directory


def _beside_a_running_agent(loaded: Loaded) -> Loaded:
    """A single gathering must not ask for the directory and the port that a running agent holds."""
    from kpwatch.spool.options import SpoolOptions

    options = loaded.options._replace(spool=SpoolOptions(), endpoint=None, self_metrics_seconds=0.0)
    return loaded._replace(options=options)


def _gather(flags: Flags, configuration: Configuration, dialect: Dialect, log: Logger) -> int:
    from kpwatch.cli import running

    once = flags.on("once")
    if flags.on("test"):
        return running.print_samples(configuration, dialect, log, once=once)
    return running.send_samples(configuration, dialect, log, once=once, debug=flags.on("debug"))
