"""devloop.yaml to a `Project`: read, overlay, expand, validate, check.

`load` does the reading; `assemble` is the rest and pure. Everything that is wrong is reported at once where that
is possible, each with the file, line and column that holds it, which is the overlay's where the overlay said it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import pydantic

from devloop import errors
from devloop.config import checks, complaints, discover, expand, model, nodes

SOURCE_CODE: Final = "DL0206"
VERSION_CODE: Final = "DL0208"


class Project(msgspec.Struct, frozen=True):
    """A folder with a devloop.yaml.

    Attributes:
        folder: The folder, absolute.
        file: The file, absolute.
        shown: Its name in messages.
        overlay: The file that was laid over it, absolute; empty where there is none.
        config: What they say.
        root: The merged document, which knows where everything is written.
    """

    folder: str
    file: str
    shown: str
    overlay: str
    config: model.Config
    root: nodes.Node

    def error(self, finding: checks.Finding, code: str) -> errors.ConfigError:
        """Return the error that says `finding` where it is written."""
        return _error(self.root, finding, code)


class BadSource(msgspec.Struct, frozen=True):
    """A sync that cannot run, because of its `from` folder.

    Attributes:
        service: The service's name.
        index: The sync's place in the service's list.
        error: Why, where it is written, and how to mend it.
    """

    service: str
    index: int
    error: errors.ConfigError


class Text(msgspec.Struct, frozen=True):
    """A file's content.

    Attributes:
        shown: The name that messages use.
        raw: Its bytes.
    """

    shown: str
    raw: bytes


def overlay_of(file: str) -> str:
    """Return the name of the overlay: `devloop.local.yaml` for `devloop.yaml`."""
    stem, extension = os.path.splitext(file)
    return f"{stem}.local{extension}"


def load(file: str, *, shown: str = "", environ: Mapping[str, str] | None = None) -> Project:
    """Read devloop.yaml, and the overlay beside it if there is one.

    Args:
        file: The file.
        shown: Its name in messages; `file` by default.
        environ: The variables for `${VAR}`; the process's own by default.

    Raises:
        ConfigErrors: The files say something wrong.
        ConfigError: One of them cannot be read.
    """
    shown = shown or file
    path = os.path.abspath(file)
    overlay = overlay_of(path)
    main = Text(shown, _read(path, shown))
    over = Text(overlay_of(shown), _read(overlay, overlay_of(shown))) if os.path.lexists(overlay) else None
    folder = os.path.dirname(path)
    config, root = assemble(main, over, folder=folder, environ=os.environ if environ is None else environ)
    return Project(folder, path, shown, overlay if over else "", config, root)


def assemble(
    main: Text, overlay: Text | None, *, folder: str, environ: Mapping[str, str]
) -> tuple[model.Config, nodes.Node]:
    """Return what the two texts say together, and the merged document.

    Args:
        main: devloop.yaml.
        overlay: What is laid over it.
        folder: The absolute folder that paths are relative to; its name is the project's by default.
        environ: The variables.

    Raises:
        ConfigErrors: What is wrong, in the order of the file.
    """
    root = _document(main)
    if overlay is not None:
        root = merge(root, _document(overlay, may_be_empty=True))
    root, unset = expand.expand(root, environ)
    _check_version(root)
    try:
        config = model.Config.model_validate(nodes.plain(root), context={"folder": folder})
    except pydantic.ValidationError as error:
        told = [_error(root, finding, code) for finding, code in complaints.of(error, root)]
        # A value whose variable is not set is wrong for that reason alone.
        silent = {error.location() for error in unset}
        raise _together([*unset, *(error for error in told if error.location() not in silent)]) from None
    if found := [*unset, *(_error(root, finding, checks.CONFLICT_CODE) for finding in checks.check(config))]:
        raise _together(found)
    if not config.name:
        config = config.model_copy(update={"name": name_of(folder)})
    return config, root


def merge(base: nodes.Node, over: nodes.Node) -> nodes.Node:
    """Lay one document over another: mappings merge, everything else replaces, an empty value removes.

    Args:
        base: The document below.
        over: The one on top.
    """
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    merged = dict(base.value)
    for key, (place, node) in over.value.items():
        if key not in merged:
            merged[key] = nodes.Item(place, node)
        elif node.value is None:
            del merged[key]
        elif isinstance(node.value, dict) and isinstance(merged[key].node.value, dict):
            merged[key] = nodes.Item(merged[key].place, merge(merged[key].node, node))
        else:
            merged[key] = nodes.Item(place, node)
    return msgspec.structs.replace(base, value=merged)


def check_sources(project: Project, services: Sequence[str] = ()) -> list[BadSource]:
    """Look at the `from` folders, and return the syncs that cannot run now.

    A missing folder is no error of the file: it may be a branch that is not checked out, or not mounted yet.

    Args:
        project: The loaded project.
        services: Only these; all by default.
    """
    return [
        BadSource(name, index, project.error(finding, SOURCE_CODE))
        for name, index, finding in checks.look_at_sources(project.config, services)
    ]


def name_of(folder: str) -> str:
    """Return the project name that a folder's name gives, with anything unfit replaced."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", os.path.basename(folder))[:63].strip("-._")
    return name or "project"


def _read(path: str, shown: str) -> bytes:
    place = nodes.Place(shown, 1, 1)
    try:
        with open(path, "rb") as file:
            return file.read(nodes.MAX_TEXT_BYTES + 1)
    except FileNotFoundError:
        raise errors.ConfigError(
            f"there is no file {shown}", hint="run `devloop init` to make one", code=discover.MISSING_CODE
        ) from None
    except OSError as error:
        raise place.error(f"cannot be read: {error.strerror}", code=discover.MISSING_CODE) from None


def _document(text: Text, *, may_be_empty: bool = False) -> nodes.Node:
    root = nodes.parse(nodes.decode(text.raw, text.shown), text.shown)
    if root.value is None and may_be_empty:
        return msgspec.structs.replace(root, value={})
    if root.value is None:
        raise root.place.error("the file is empty", hint="run `devloop init --force` to write one")
    if not isinstance(root.value, dict):
        raise root.place.error("the file must hold keys and values", hint="begin with version: 1", code=complaints.CODE)
    return root


def _check_version(root: nodes.Node) -> None:
    assert isinstance(root.value, dict)
    if "version" not in root.value:
        raise nodes.Place(root.place.file, 1, 1).error(
            "the key version is missing", hint="add the line: version: 1", code=VERSION_CODE
        )
    place, node = root.value["version"]
    if node.value != str(model.VERSION):
        written = complaints.kind_of(node.value)
        raise (place if node.value is None else node.place).error(
            f"expected version {model.VERSION}, found {written}",
            hint=f"this devloop reads version {model.VERSION}; a newer file needs a newer devloop",
            code=VERSION_CODE,
        )


def _error(root: nodes.Node, finding: checks.Finding, code: str) -> errors.ConfigError:
    place = nodes.find(root, finding.loc, key=finding.is_key)
    where = complaints.spell(finding.loc)
    message = f"{where}: {finding.message}" if where else finding.message
    return place.error(message, hint=finding.hint, code=code)


def _together(found: Sequence[errors.ConfigError]) -> errors.ConfigErrors:
    unique = {(error.location(), error.message): error for error in found}
    # The overlay's name sorts before the file's, so the file's errors are put first by hand.
    ordered = sorted(unique.values(), key=lambda error: (".local." in error.file, error.line, error.column))
    return errors.ConfigErrors(ordered)
