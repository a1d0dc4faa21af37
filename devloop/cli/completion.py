"""`devloop completion SHELL`: the script that lets a shell complete devloop's verbs, options and services."""

from __future__ import annotations

import sys
from typing import Final

import click
from click import shell_completion

from devloop.cli import options

_VARIABLE: Final = "_DEVLOOP_COMPLETE"
_HELP: Final = """\
Print the completion script of a SHELL. Load it where the shell starts:

\b
bash   eval "$(devloop completion bash)"                      in ~/.bashrc
zsh    eval "$(devloop completion zsh)"                       in ~/.zshrc
fish   devloop completion fish > ~/.config/fish/completions/devloop.fish
"""


@click.command("completion", cls=options.Verb, help=_HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Write the script to stdout."""
    kind = shell_completion.get_completion_class(shell)
    assert kind is not None
    top = click.get_current_context().find_root().command
    made = kind(top, {}, "devloop", _VARIABLE)
    # The class's own source() starts a bash to ask for its version, which is of no use to the script.
    sys.stdout.write(kind.source_template % made.source_vars() + "\n")
