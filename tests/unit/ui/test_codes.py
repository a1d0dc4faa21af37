from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import agent
import devloop
from devloop import errors
from devloop.ui import codes

CODE = re.compile(r"DL[0-9]{4}")


def sources() -> Iterator[Path]:
    for package in (devloop, agent):
        assert package.__file__ is not None
        yield from Path(package.__file__).parent.rglob("*.py")


def used_in(path: Path) -> set[str]:
    """Every string that is a code: `code="DL…"`, a class's own, or a constant that is passed on."""
    tree = ast.parse(path.read_text())
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {text for text in texts if CODE.fullmatch(text)}


def subclasses(kind: type[errors.DevloopError]) -> Iterator[type[errors.DevloopError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def test_every_error_class_has_an_explained_code() -> None:
    assert {kind.code for kind in subclasses(errors.DevloopError)} <= codes.CODES.keys()


def test_every_code_in_the_sources_is_explained_and_every_explained_one_is_used() -> None:
    catalogue = Path(codes.__file__)
    used = set().union(*(used_in(path) for path in sources() if path != catalogue))
    assert used - codes.CODES.keys() == set(), "explain these in devloop/ui/codes.py"
    assert codes.CODES.keys() - used == set(), "nothing raises these any more"


def test_codes_are_well_formed_in_order_and_written_out() -> None:
    assert list(codes.CODES) == sorted(codes.CODES)
    for code, told in codes.CODES.items():
        assert CODE.fullmatch(code)
        assert told.title
        assert not told.title.endswith(".")
        assert told.meaning.endswith(".")
        assert told.action.endswith(".")


def test_normal_forms() -> None:
    assert [codes.normal(text) for text in ("DL0100", "dl100", " 0100", "x")] == ["DL0100", "DL0100", "DL0100", "X"]
