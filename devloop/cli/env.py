"""`devloop env VERB`: the Argo CD environment of this project.

A verb is a module `devloop.cli.env_VERB` (a dash of the verb is an underscore there) with a click command named
`command`, of class `options.Verb`, and one line in `VERBS` below. As at the top, only the one that is called is
imported, so this module imports nothing but click. What they have in common is in `devloop.cli.envs`.
"""

from __future__ import annotations

import importlib
from typing import Final

import click

from devloop.cli import options

# The place to extend: section, then verb and what it does, in the order of the help.
VERBS: Final[dict[str, dict[str, str]]] = {
    "See it": {
        "list": "List the Applications of this environment.",
        "status": "Show how they stand, who owns them, and where each service comes from.",
        "open": "Open Argo CD, the repository or another link in the browser.",
    },
    "Switch it": {
        "use": "Follow a branch, under a lease.",
        "restore": "Put back what your leases changed.",
        "pause": "Turn auto-sync off for a while, under a lease.",
        "resume": "Turn auto-sync on again.",
    },
    "Act": {
        "refresh": "Let Argo CD compare git and cluster now.",
        "sync": "Let Argo CD apply what git says.",
        "wait": "Wait until Applications are in sync and healthy.",
        "terminate": "End a sync that runs.",
    },
    "Give it upstream": {
        "pr": "Push your branch of the templates, and open a pull request.",
        "pull-upstream": "Take upstream's commits into your branch.",
    },
}


class _Env(options.Verbs):
    """The verbs by section, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [verb for section in VERBS.values() for verb in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"devloop.cli.{module_of(cmd_name)}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(verb) for verb in self.list_commands(ctx))
        for section, verbs in VERBS.items():
            with formatter.section(section):
                formatter.write_dl([(verb.ljust(width), told) for verb, told in verbs.items()])


def module_of(verb: str) -> str:
    """Return the name of the module that a verb of `devloop env` is in."""
    return f"env_{verb.replace('-', '_')}"


@click.group("env", cls=_Env)
def command() -> None:
    """The Argo CD environment: see it, switch it to a branch, change its templates, give it back.

    devloop leaves the stack to Argo CD, and makes each of these one safe command. docs/env.md tells which Applications
    are this project's environment, and what each verb needs.
    """
