"""`devloop config validate` and `devloop config schema`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from devloop import errors
from devloop.cli import errors as cli_errors
from devloop.cli import options, output, project
from devloop.config import load


@click.group("config", cls=options.Verbs)
def command() -> None:
    """Check devloop.yaml, or print its schema."""


@command.command("validate", formats=("text", "json", "yaml"))
@options.pass_settings
def validate(settings: options.Settings) -> int:
    """Say all that is wrong with devloop.yaml."""
    try:
        loaded = project.loaded(settings)
    except errors.ConfigErrors as error:
        return _invalid(settings, error, error.errors)
    except errors.ConfigError as error:
        return _invalid(settings, error, [error])
    warnings = [bad.error for bad in load.check_sources(loaded)]
    for line in cli_errors.lines_of_config(warnings, level="warning", on=settings.color_on(sys.stderr)):
        output.human(settings, line)
    if settings.output == "text":
        output.human(settings, f"{loaded.shown} is valid: {_summary(loaded)}")
    else:
        output.result(settings, _verdict([], warnings, loaded))
    return int(errors.Exit.OK)


@command.command("schema")
def print_schema() -> None:
    """Print the JSON schema of devloop.yaml, for editors."""
    from devloop.config import schema

    sys.stdout.write(schema.text())


def _invalid(settings: options.Settings, error: errors.ConfigError, found: Sequence[errors.ConfigError]) -> int:
    if settings.output == "text":
        raise error
    output.result(settings, _verdict(found, [], None))
    return int(error.exit_status)


def _verdict(
    found: Sequence[errors.ConfigError], warnings: Sequence[errors.ConfigError], loaded: load.Project | None
) -> dict[str, Any]:
    return {
        "v": 1,
        "valid": not found,
        "file": loaded.file if loaded else None,
        "overlay": (loaded.overlay or None) if loaded else None,
        "services": list(loaded.config.services) if loaded else [],
        "errors": [_told(error) for error in found],
        "warnings": [_told(error) for error in warnings],
    }


def _told(error: errors.ConfigError) -> dict[str, Any]:
    return {
        "file": error.file,
        "line": error.line,
        "column": error.column,
        "code": error.error_code,
        "message": error.message,
        "hint": error.hint,
    }


def _summary(loaded: load.Project) -> str:
    services = loaded.config.services
    syncs = sum(len(service.sync) for service in services.values())
    return f"{_count(len(services), 'service')}, {_count(syncs, 'sync')}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
