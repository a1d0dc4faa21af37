"""The tree's digest and differences."""

from hypothesis import given
from hypothesis import strategies as st

from devloop.core import entry, tree

NAMES = st.sampled_from(["a", "b", "a/x", "a/y", "c/d/e", "caf\udce9"])
ENTRIES = st.one_of(
    st.builds(entry.file, st.binary(min_size=32, max_size=32), st.integers(0, 9), executable=st.booleans()),
    st.just(entry.folder()),
    st.builds(entry.link, st.binary(min_size=1, max_size=4).filter(lambda raw: b"\0" not in raw)),
)
TREES = st.dictionaries(NAMES, ENTRIES)


@given(TREES, TREES, st.booleans())
def test_applying_the_difference_gives_the_other_tree(
    old: dict[str, entry.Entry], new: dict[str, entry.Entry], asked_before: bool
) -> None:
    subject = tree.Tree(old)
    if asked_before:
        # From then on the digest follows each change.
        assert subject.copy().digest == subject.digest
    subject.apply(tree.diff(old, new))
    assert dict(subject) == new
    assert subject.digest == tree.Tree(new).digest
    assert subject.file_count() == tree.Tree(new).file_count()
    assert subject.total_bytes() == sum(each.size for each in new.values())


@given(TREES, TREES)
def test_equal_digests_mean_equal_trees(one: dict[str, entry.Entry], two: dict[str, entry.Entry]) -> None:
    assert (tree.Tree(one).digest == tree.Tree(two).digest) == (one == two)


def test_an_empty_tree_has_a_digest_of_zeros() -> None:
    subject = tree.Tree({"a": entry.folder()})
    assert subject.digest != bytes(32)
    subject.remove("a")
    assert subject.digest == bytes(32)
    assert subject.remove("a") is None


def test_a_copy_is_independent() -> None:
    one = tree.Tree({"a": entry.folder()})
    two = one.copy()
    two.put("b", entry.folder())
    assert "b" not in one
    assert one.digest != two.digest
