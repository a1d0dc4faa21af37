"""`python -m agent serve …`, `python -m agent key …` and `python -m agent tools …`.

`serve` says on standard output that it is ready, or why it is not, as one line of JSON; its log goes to standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence

from agent import secret, settings
from devloop import errors


def main(argv: Sequence[str] | None = None) -> None:
    """Run the agent's command line; never returns."""
    arguments = settings.parse(sys.argv[1:] if argv is None else argv)
    try:
        if arguments.verb == "key":
            sys.stdout.write(secret.read(arguments.state).decode())
            sys.exit(0)
        if arguments.verb == "tools":
            from agent import tools

            tools.install(arguments.folder, arguments.busybox or tools.BUSYBOX_AT)
            sys.exit(0)
        _serve(settings.from_arguments(arguments))
    except errors.DevloopError as error:
        status = int(error.exit_status)
        _say({"error": {"message": error.message, "hint": error.hint, "code": error.error_code, "exit": status}})
        sys.stderr.write(f"error[{error.error_code}]: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"hint: {error.hint}\n")
        sys.exit(status)


def _serve(told: settings.Settings) -> None:
    # What only `serve` needs is imported here: `key` is run by exec, and is to be quick.
    from agent import guard, server

    if told.target:
        # Before anything is written there: the folder must be empty, or a target already.
        guard.guard_local_target(told.target)
        guard.mark_local_target(told.target)
    try:
        os.makedirs(told.state, mode=0o700, exist_ok=True)
        key_file, key = secret.make(told.state)
    except OSError as error:
        raise errors.AgentError(
            f"the agent's state folder {told.state} cannot be written: {error.strerror}",
            hint=f"make it writable for uid {os.geteuid()}",
            code="DL0605",
        ) from error
    sys.exit(server.run(told, key, lambda: _say({"ready": True, "key_file": key_file})))


def _say(what: object) -> None:
    # Whoever started us may be gone already; then the lifeline says so.
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
