"""Looks in a Helm chart on this machine for the template that makes an object, and for the values it is made from.

Templates are no YAML before they are rendered, so they are read as text: documents between `---`, in each the lines of
kind and name. A name that is a template itself fits whatever it may become, so there may be several; `helm template`
says which file an object came from where helm is on this machine, and is asked only then.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from typing import Final

from devloop.argocd.kustomizations import Wanted
from devloop.argocd.manifestfiles import Place, Tree

CHART: Final = "Chart.yaml"
VALUES: Final = "values.yaml"

_TEMPLATES: Final = (".yaml", ".yml", ".tpl", ".json")
_KIND: Final = re.compile(r"^kind:\s*(?P<kind>.+?)\s*(?:\s#.*)?$")
_METADATA: Final = re.compile(r"^metadata:\s*(?:\{.*?\bname:\s*(?P<name>[^,}]*(?:\{\{.*?\}\}[^,}]*)*)[,}].*)?$")
_NAME: Final = re.compile(r"^\s+name:\s*(?P<name>.+?)\s*(?:\s#.*)?$")
_TEMPLATED: Final = re.compile(r"\{\{.*?\}\}")
_HELM_TIMEOUT_S: Final = 10.0


def is_chart(tree: Tree, folder: str) -> bool:
    """Say whether a folder is a chart."""
    return tree.is_file(f"{folder}/{CHART}")


def templates(tree: Tree, folder: str, wanted: Wanted) -> tuple[Place, ...]:
    """Return the templates that may make an object: those that have its very name, else those whose names fit.

    Args:
        tree: The checkout.
        folder: The chart's folder.
        wanted: The object.
    """
    exact: list[Place] = []
    fitting: list[Place] = []
    for path in tree.files(folder, deep=True, suffixes=_TEMPLATES):
        if "/templates/" not in f"/{path}":
            continue
        for kind, name, line in _documents(tree.text(path)):
            if name == wanted.name and kind == wanted.kind:
                exact.append(Place(path, line))
            elif _fits(name, wanted.name) and _fits(kind, wanted.kind):
                fitting.append(Place(path, line))
    return tuple(exact or fitting)


def rendered(tree: Tree, folder: str, wanted: Wanted, release: str, namespace: str, values: Sequence[str]) -> str:
    """Return the template that helm says an object comes from; an empty text where helm cannot say.

    Args:
        tree: The checkout.
        folder: The chart's folder.
        wanted: The object.
        release: The release's name.
        namespace: Where it goes.
        values: Values files, relative to the checkout.
    """
    helm = shutil.which("helm")
    if helm is None:
        return ""
    files = [part for path in values for part in ("-f", path)]
    asked = [helm, "template", release, f"./{folder}", "--namespace", namespace or "default", *files]
    try:
        done = subprocess.run(
            asked, cwd=tree.root, capture_output=True, text=True, timeout=_HELM_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    source = ""
    for text in re.split(r"^---.*$", done.stdout, flags=re.MULTILINE):
        found = re.search(r"^# Source: [^/\n]+/(?P<path>.+)$", text, flags=re.MULTILINE)
        source = found["path"].strip() if found else source
        if any((kind, name) == (wanted.kind, wanted.name) for kind, name, _ in _documents(text)):
            return f"{folder}/{source}" if tree.is_file(f"{folder}/{source}") else ""
    return ""


def values_files(tree: Tree, folder: str, asked: Iterable[str], references: dict[str, str]) -> tuple[str, ...]:
    """Return the values files of a chart that are in the checkout, in the order in which they count.

    Args:
        tree: The checkout.
        folder: The chart's folder.
        asked: `helm.valueFiles` of the source.
        references: The name of each source that lends files (`ref`), to its folder in this checkout.
    """
    paths = [f"{folder}/{VALUES}"]
    for name in asked:
        if name.startswith("$"):
            reference, _, rest = name[1:].partition("/")
            path = tree.within("", rest) if reference in references else None
        else:
            path = None if "://" in name else tree.within(folder, name)
        paths += [path] if path is not None else []
    return tuple(path for path in dict.fromkeys(paths) if tree.is_file(path))


def _documents(text: str) -> Iterable[tuple[str, str, int]]:
    """Yield kind, name and first line of the documents of a template that say both at their top level."""
    kind = name = ""
    in_metadata, start = False, 1
    for number, line in enumerate([*text.splitlines(), "---"], 1):
        if line.startswith("---"):
            if kind and name:
                yield kind, name, start
            kind = name = ""
            in_metadata, start = False, number + 1
            continue
        found = _KIND.match(line)
        if found:
            kind, start = _unquoted(found["kind"]), number
        opened = _METADATA.match(line)
        if opened:
            in_metadata, name = True, name or _unquoted(opened["name"] or "")
        elif line[:1] not in {"", " ", "\t", "#", "{", "-"}:
            in_metadata = False
        elif in_metadata and not name:
            named = _NAME.match(line)
            name = _unquoted(named["name"]) if named else ""


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _fits(pattern: str, text: str) -> bool:
    """Say whether a templated text may become another one."""
    parts = _TEMPLATED.split(pattern)
    return re.fullmatch(".*".join(re.escape(part) for part in parts), text) is not None
