"""Carried out in the order, any change of tree works, and no step meets what it cannot do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.core import entry, ops, order, paths, tree
from devloop.core.entry import Kind

SEGMENTS = st.sampled_from(["a", "A", "b", "é", "e\u0301"])
PATHS = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join)
LEAVES = st.sampled_from([entry.file(bytes(32), 0), entry.file(bytes([1]) * 32, 1), entry.link(b"b")])


def fold_all(path: str) -> str:
    return "/".join(order.fold(segment) for segment in path.split("/"))


@st.composite
def trees(draw: st.DrawFn, *, folds: bool) -> dict[str, entry.Entry]:
    """Draw a tree that a disk can hold: every path's folders are in it, and no two names are the same."""
    found: dict[str, entry.Entry] = {}
    names: dict[str, str] = {}
    for path, leaf in draw(st.dictionaries(PATHS, LEAVES, max_size=6)).items():
        levels = [path, *paths.ancestors(path)]
        if any(names.get(fold_all(level), level) != level for level in levels) and folds:
            continue
        if path in found or any(found.get(level, entry.FOLDER) != entry.FOLDER for level in levels[1:]):
            continue
        found.update(dict.fromkeys(levels[1:], entry.FOLDER))
        found[path] = leaf
        names.update((fold_all(level), level) for level in levels)
    return found


class Disk:
    """A disk that refuses what a real one does, with names that are equal when they fold to the same."""

    def __init__(self, things: dict[str, entry.Entry], *, folds: bool) -> None:
        self.key = fold_all if folds else str
        self.things = {self.key(path): (path, thing) for path, thing in things.items()}

    def delete(self, path: str) -> None:
        key = self.key(path)
        if key in self.things:
            assert not any(other.startswith(key + "/") for other in self.things), f"{path} is not empty"
            del self.things[key]

    def put(self, path: str, thing: entry.Entry) -> None:
        key = self.key(path)
        above = paths.parent(key)
        assert not above or self.things[above][1] == entry.FOLDER, f"{path} has no folder"
        if thing.kind is not Kind.FOLDER:
            assert not any(other.startswith(key + "/") for other in self.things), f"{path} is a folder with content"
        self.things[key] = (path, thing)

    def content(self) -> dict[str, entry.Entry]:
        return dict(self.things.values())


@given(st.data(), st.booleans())
def test_any_tree_becomes_any_other(data: st.DataObject, folds: bool) -> None:
    old, new = data.draw(trees(folds=folds)), data.draw(trees(folds=folds))
    delta = tree.diff(old, new)
    batch = [ops.put(0, path, item) for path, item in delta.put.items()]
    batch += [ops.delete(0, path) for path in delta.gone]
    batch = data.draw(st.permutations(batch))
    turn = order.arrange(batch, range(len(batch)), case_sensitive=not folds)
    assert sorted(turn.flat()) == list(range(len(batch)))
    disk = Disk(old, folds=folds)
    for index in turn.flat():
        op = batch[index]
        if op.entry is None:
            disk.delete(op.path)
        else:
            disk.put(op.path, op.entry)
    assert disk.content() == new


FILE = entry.file(bytes(32), 0)


@pytest.mark.parametrize(
    ("batch", "blocking"),
    [
        ([ops.delete(0, "old"), ops.put(0, "new", FILE)], []),
        ([ops.delete(0, "a"), ops.put(0, "a/x", FILE)], ["a"]),
        ([ops.delete(0, "a/x"), ops.put(0, "a", FILE)], ["a/x"]),
        ([ops.delete(0, "a/b"), ops.delete(0, "a/b/c"), ops.put(0, "a", FILE)], ["a/b/c", "a/b"]),
        ([ops.delete(0, "a/x"), ops.put(0, "a", entry.folder())], []),
    ],
)
def test_only_what_is_in_the_way_goes_first(batch: list[ops.Op], blocking: list[str]) -> None:
    turn = order.arrange(batch, range(len(batch)))
    assert [batch[index].path for index in turn.blocking] == blocking


def test_names_that_differ_by_case_go_first_only_where_case_does_not_count() -> None:
    batch = [ops.delete(0, "Src/b"), ops.delete(0, "Src"), ops.put(0, "src", entry.folder()), ops.put(0, "src/a", FILE)]
    assert order.arrange(batch, range(4)).blocking == ()
    assert [batch[i].path for i in order.arrange(batch, range(4), case_sensitive=False).blocking] == ["Src/b", "Src"]


def test_only_the_chosen_ops_are_ordered() -> None:
    batch = [ops.delete(0, "a"), ops.put(1, "a/x", FILE), ops.forget(0, "b"), ops.adopt(0, "c", FILE)]
    turn = order.arrange(batch, [0, 2, 3])
    assert turn == order.Order(blocking=(), folders=(), contents=(), marks=(2, 3), deletions=(0,))


@pytest.mark.parametrize(
    ("wanted", "managed", "deleted", "found"),
    [
        (["readme"], ["README"], [], {"readme": "README"}),
        (["readme"], ["README"], ["README"], {}),
        (["README"], ["README"], [], {}),
        (["caf\u00e9"], ["cafe\u0301"], [], {"caf\u00e9": "cafe\u0301"}),
        (["src/a", "src/b"], ["Src/c", "Src"], [], {"src/a": "Src", "src/b": "Src"}),
        (["a", "A", "b"], [], [], {"A": "a"}),
        (["stra\u00dfe"], ["STRASSE"], [], {"stra\u00dfe": "STRASSE"}),
    ],
)
def test_collisions(wanted: list[str], managed: list[str], deleted: list[str], found: dict[str, str]) -> None:
    assert order.collisions(wanted, managed, deleted) == found
