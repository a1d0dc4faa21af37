"""`devloop`: reads the command line, loads the one verb that it names, and turns its end into an exit status.

A verb is a module `devloop.cli.VERB` with a click command named `command`, of class `options.Verb` (or
`options.Verbs`), and one line in `VERBS` below, so that `devloop --help` needs to import none of them. A verb
returns None or an exit status, and raises a `DevloopError` for everything else.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import click

from devloop import __version__
from devloop.cli import errors as cli_errors
from devloop.cli import options, output

# The place to extend: section, then verb and what it does, in the order of the help.
VERBS: Final[dict[str, dict[str, str]]] = {
    "Start here": {
        "demo": "See the whole loop on this machine, with figures.",
        "init": "Look at this folder and write a devloop.yaml.",
    },
    "Every day": {
        "watch": "Keep the targets in sync, reload the apps, show what they print.",
        "status": "Show how the services stand.",
        "stop": "End the watching process.",
        "flush": "Wait until what is saved now is in every target.",
        "pause": "Send nothing for a while.",
        "resume": "Go on after a pause.",
        "approve": "Let held deletions go.",
        "restart": "Restart an app in place.",
        "diff": "List where laptop and targets differ.",
        "pull": "Take over what the app made, now.",
        "ports": "Show the forwarded ports; add and remove some.",
        "proxy": "Reach names and addresses of the cluster through a proxy.",
        "wait": "Wait until somebody watches and everything is in sync.",
        "logs": "Show what the services' containers print, and follow it.",
        "events": "Follow the event stream as JSON.",
    },
    "In the container": {
        "exec": "Run a command where a service runs.",
        "shell": "Open a shell there.",
        "run": "Run a command here, with the container's variables.",
    },
    "In a cluster": {
        "inject": "Put the agent into manifests, or take it out.",
        "install": "Put the agent into workloads of the cluster, until `down`.",
        "down": "End the sessions in the cluster, and prove that nothing is left.",
        "env": "The Argo CD environment: see it, switch it, give it back.",
    },
    "Look into it": {
        "doctor": "Check this machine, the cluster and the services.",
        "ignored": "Say why a path is shipped or not.",
        "explain": "Say what an error code means and what to do.",
        "config": "Check devloop.yaml, or print its schema.",
        "ide": "Prepare VS Code or a JetBrains IDE for this project.",
        "completion": "Print the completion script of a shell.",
    },
}


class _Devloop(options.Verbs):
    """The top: verbs by section, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [verb for section in VERBS.values() for verb in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"devloop.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(verb) for verb in self.list_commands(ctx))
        for section, verbs in VERBS.items():
            with formatter.section(section):
                formatter.write_dl([(verb.ljust(width), told) for verb, told in verbs.items()])


_EPILOG: Final = """\
Every option also has a variable: DEVLOOP_FILE, DEVLOOP_NAMESPACE and so on. `devloop VERB --help` tells more.
"""


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        output.data(f"devloop {__version__}")
        ctx.exit()


def _top(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        output.data(ctx.get_help())


def build() -> click.Group:
    """Return the command line."""
    version = click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_print_version,
        help="Print the version.",
    )
    return _Devloop(
        "devloop",
        params=[*options.top_options(), version],
        callback=click.pass_context(_top),
        invoke_without_command=True,
        options_metavar="[OPTIONS]",
        subcommand_metavar="VERB …",
        help="The dev loop for stacks that live in Argo CD: a saved file is in the pod in milliseconds.",
        epilog=_EPILOG,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


def run(arguments: Sequence[str], chosen: options.Chosen) -> int:
    """Carry out a command line, and return its exit status.

    Args:
        arguments: Without the program's name.
        chosen: Collects the global options.

    Raises:
        SystemExit: The shell asked for completions, or stdout went away while click wrote to it.
    """
    try:
        ended = build().main(list(arguments), prog_name="devloop", standalone_mode=False, obj=chosen)
        sys.stdout.flush()
    # The one place that every error comes to; it decides which are bugs.
    except (Exception, KeyboardInterrupt) as error:
        return cli_errors.report(error, chosen)
    return ended if isinstance(ended, int) else 0


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, and end the process with its exit status.

    Args:
        arguments: Without the program's name; the process's own by default.
    """
    output.prepare()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments, options.Chosen()))


if __name__ == "__main__":
    main()
