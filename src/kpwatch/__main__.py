"""Where `kpwatch` begins: finds the verb, imports it, turns its errors into an exit code.

Called by the name `categraf` (a symlink), the program is `kpwatch agent`. Nothing of ours but the version is imported
before the verb is known.
"""

from __future__ import annotations

import os
import sys

from kpwatch import __version__

AGENT_NAME = "categraf"
INTERRUPTED = 130
"""128 + SIGINT, as a shell says it."""


def main(argv: list[str] | None = None) -> int:
    """Run the program named by `sys.argv[0]` with `argv`; gives the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if os.path.basename(sys.argv[0]) == AGENT_NAME:  # noqa: PTH119 - pathlib costs more than all the rest here
        arguments = ["agent", *arguments]
    if arguments[:1] in (["--version"], ["-version"], ["version"]):
        print(f"kpwatch {__version__}")
        return 0
    return _run(arguments)


def _run(arguments: list[str]) -> int:
    from kpwatch.base.errors import KpwatchError, UsageError
    from kpwatch.cli import find_verb

    try:
        return find_verb(arguments)()
    except UsageError as error:
        print(f"kpwatch: {error}", file=sys.stderr)
        return 2
    except KpwatchError as error:
        print(f"kpwatch: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us (`| head`) has seen enough; Python must not complain about it while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
