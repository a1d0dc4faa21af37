"""Which descriptor stands for which folder."""

from devloop.watch import folders


def tree() -> folders.Folders:
    subject = folders.Folders()
    root = subject.put(1, None, "")
    a = subject.put(2, root, "a")
    subject.put(3, a, "b")
    subject.put(4, root, "c")
    return subject


def test_paths_and_prefixes_follow_the_tree() -> None:
    subject = tree()
    assert {wd: (each.path, each.prefix) for wd, each in subject.by_wd.items()} == {
        1: ("", ""),
        2: ("a", "a/"),
        3: ("a/b", "a/b/"),
        4: ("c", "c/"),
    }
    assert subject.find("a/b") is subject.by_wd[3]
    assert subject.find("") is subject.root
    assert subject.find("a/x/y") is None


def test_dropping_a_folder_frees_all_below_it() -> None:
    subject = tree()
    assert sorted(subject.drop(subject.by_wd[2])) == [2, 3]
    assert sorted(subject.by_wd) == [1, 4]
    assert subject.find("a") is None


def test_a_descriptor_that_moved_to_another_path_is_not_freed_with_the_old_one() -> None:
    subject = tree()
    old = subject.by_wd[2]
    assert subject.root is not None
    subject.put(2, subject.root, "renamed")
    assert subject.drop(old) == [3]
    assert subject.by_wd[2].path == "renamed"


def test_dropping_a_folder_that_was_replaced_leaves_the_new_one_in_the_tree() -> None:
    subject = tree()
    old = subject.by_wd[4]
    assert subject.root is not None
    subject.put(9, subject.root, "c")
    assert subject.drop(old) == [4]
    assert subject.find("c") is subject.by_wd[9]
