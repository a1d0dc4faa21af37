"""The options that every verb has, wherever on the line they stand, and what became of them.

`devloop -n mine status` and `devloop status -n mine` mean the same. The group at the top takes them with their
`DEVLOOP_*` variables; `Verb`, the class of every verb's command, takes them again after the verb, where they win.
Both write into one `Chosen`, which travels as click's `obj`; a verb asks for the outcome with `pass_settings`.
Imports nothing but click: `devloop --help` runs through here.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TextIO, TypeVar

import click
from click.core import ParameterSource

from devloop import errors

P = ParamSpec("P")
R = TypeVar("R")

COLORS: Final = ("auto", "always", "never")
FORMATS: Final = ("text", "json", "yaml", "name")


class Settings(NamedTuple):
    """What the global options came to.

    Attributes:
        file: devloop.yaml or its folder as named by `--file`; empty to search for it.
        verbosity: -1 with `-q`, 0, and one more for each `-v`.
        color: auto, always or never.
        context: The kube context; empty for the project's, or kubectl's own.
        namespace: The namespace; likewise.
        kubeconfig: The kubeconfig's path; empty for the usual ones.
        output: text, json, yaml or name; one of the verb's own formats.
    """

    file: str = ""
    verbosity: int = 0
    color: str = "auto"
    context: str = ""
    namespace: str = ""
    kubeconfig: str = ""
    output: str = "text"

    def color_on(self, stream: TextIO) -> bool:
        """Say whether what is written to `stream` may be coloured."""
        return color_on(self.color, stream)


class Chosen:
    """Collects the options while the line is read.

    What is given on the line goes before what a variable says, and after the verb before before the verb.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.explicit: set[str] = set()

    def take(self, name: str, value: Any, *, explicit: bool) -> None:
        """Note one option's value."""
        if name in {"verbose", "quiet"} and name in self.explicit:
            value = int(value) + int(self.values[name])
        self.values[name] = value
        if explicit:
            self.explicit.add(name)

    def settings(self, formats: Iterable[str] = FORMATS) -> Settings:
        """Return the outcome.

        Args:
            formats: What the verb can print. `DEVLOOP_OUTPUT` is a wish, and gives way to text where the verb
                has no such format; `-o` was checked when it was read.

        Raises:
            UsageError: `-v` and `-q` together.
        """
        found = self.values
        verbose, quiet = int(found.get("verbose", 0)), bool(found.get("quiet", 0))
        if {"verbose", "quiet"} <= self.explicit:
            raise errors.UsageError("-v and -q exclude each other", hint="keep one of them")
        quiet = quiet and "verbose" not in self.explicit
        output = found.get("output") or "text"
        return Settings(
            file=found.get("file") or "",
            verbosity=-1 if quiet else verbose,
            color=found.get("color") or "auto",
            context=found.get("context") or "",
            namespace=found.get("namespace") or "",
            kubeconfig=found.get("kubeconfig") or "",
            output=output if output in set(formats) else "text",
        )


def color_on(choice: str, stream: TextIO) -> bool:
    """Say whether to colour: `--color`, then NO_COLOR, FORCE_COLOR and TERM=dumb, then whether it is a terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    return os.environ.get("TERM") != "dumb" and stream.isatty()


# Keeps click's name of a global option apart from a verb's own parameter of the same name.
_PREFIX: Final = "global_"


def _note(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    assert param.name is not None
    source = ctx.get_parameter_source(param.name)
    name = param.name.removeprefix(_PREFIX)
    if source is None or source in {ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP}:
        return
    ctx.ensure_object(Chosen).take(name, value, explicit=source is ParameterSource.COMMANDLINE)


class _Spec(NamedTuple):
    name: str
    flags: tuple[str, ...]
    help: str
    attributes: dict[str, Any]


_SPECS: Final = (
    _Spec("file", ("-f", "--file"), "devloop.yaml, or its folder; searched upward by default.", {"metavar": "FILE"}),
    _Spec("context", ("--context",), "The kube context.", {"metavar": "NAME"}),
    _Spec("namespace", ("-n", "--namespace"), "The namespace of the services.", {"metavar": "NAME"}),
    _Spec("kubeconfig", ("--kubeconfig",), "The kubeconfig to read.", {"metavar": "FILE"}),
    _Spec("verbose", ("-v", "--verbose"), "Say more; -vv for everything.", {"count": True}),
    _Spec("quiet", ("-q", "--quiet"), "Say only what went wrong.", {"count": True}),
    _Spec("color", ("--color",), "Colour the output.", {"type": click.Choice(COLORS)}),
)
_OUTPUT: Final = ("-o", "--output")


def _option(spec: _Spec, flags: tuple[str, ...], *, top: bool) -> click.Option:
    return click.Option(
        [*flags, _PREFIX + spec.name],
        help=spec.help,
        expose_value=False,
        callback=_note,
        is_eager=True,
        envvar=f"DEVLOOP_{spec.name.upper()}" if top else None,
        hidden=not top,
        **spec.attributes,
    )


def top_options() -> list[click.Parameter]:
    """Return the options of `devloop` itself."""
    output = _Spec("output", _OUTPUT, "How a verb prints its result.", {"type": click.Choice(FORMATS)})
    return [_option(spec, spec.flags, top=True) for spec in (*_SPECS, output)]


class Verb(click.Command):
    """The class of every verb's command.

    Args:
        formats: What `-o` offers; nothing where the verb prints no result. The first is the default.
        args: As click's.
        kwargs: As click's.
    """

    def __init__(self, *args: Any, formats: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.formats = formats
        taken = {flag for param in self.params for flag in param.opts}
        for spec in _SPECS:
            flags = tuple(flag for flag in spec.flags if flag not in taken)
            if flags:  # A verb's own -f (follow) goes before ours; --file stays.
                self.params.append(_option(spec, flags, top=False))
        if formats:
            self.params.append(self._output_option())

    def _output_option(self) -> click.Option:
        return click.Option(
            [*_OUTPUT, _PREFIX + "output"],
            type=click.Choice(self.formats),
            help=f"How to print the result; {self.formats[0]} by default.",
            expose_value=False,
            callback=_note,
            is_eager=True,
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb, unless `-o` was given before it in a form that it does not have."""
        chosen = ctx.ensure_object(Chosen)
        output = chosen.values.get("output")
        if "output" in chosen.explicit and output not in self.formats:
            offers = f"it prints {', '.join(self.formats)}" if self.formats else "it prints no result"
            raise errors.UsageError(f"{ctx.command_path} has no output format {output}", hint=offers)
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Point to the options that are not listed again."""
        super().format_epilog(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text("The options of `devloop --help` work here too.")


class Verbs(click.Group):
    """A verb with verbs of its own, such as `config`."""

    command_class = Verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb that the first word names, or say which one was probably meant."""
        word = args[0]
        known = self.list_commands(ctx)
        if not word.startswith("-") and word not in known:
            raise errors.UsageError(f"{ctx.command_path} has no verb {word!r}", hint=meant(word, known))
        return super().resolve_command(ctx, args)


def meant(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known words, or all of them."""
    import difflib

    words = list(known)
    near = difflib.get_close_matches(word.lower(), words, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(words)}"


def pass_settings(function: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
    """Call a verb with the outcome of the global options as its first argument."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        ctx = click.get_current_context()
        formats = ctx.command.formats if isinstance(ctx.command, Verb) else ()
        return function(ctx.ensure_object(Chosen).settings(formats), *args, **kwargs)

    return call
