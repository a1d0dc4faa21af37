"""When an ignore file is read again."""

import os
from pathlib import Path

import pytest

from devloop.core import rules
from devloop.fs import ignorefile


def made(path: Path, *, follow: bool = False) -> ignorefile.IgnoreFile:
    return ignorefile.IgnoreFile(str(path), rules.Layer.GITIGNORE, b"", "f", follow=follow)


def test_a_file_that_is_not_there_has_no_rules_and_no_problem(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path / "none" / "deeper"):
        subject = made(path)
        assert not subject.refresh()
        assert (subject.rules, subject.problem, subject.exists) == ((), None, False)


def test_a_same_sized_edit_within_the_clocks_step_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("a\n")
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    subject = made(path)
    assert subject.refresh()
    path.write_text("b\n")
    os.utime(path, ns=times)
    assert subject.refresh()
    assert [rule.text for rule in subject.rules] == [b"b"]


def test_a_settled_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    path.write_text("a\n")
    os.utime(path, (1, 1))
    subject = made(path)
    assert subject.refresh()
    monkeypatch.setattr(rules, "parse", lambda *_: pytest.fail("read again"))
    assert not subject.refresh()


def test_a_link_is_followed_only_where_git_does(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("a\n")
    (tmp_path / "link").symlink_to("target")
    assert made(tmp_path / "link", follow=True).refresh()
    refused = made(tmp_path / "link")
    assert not refused.refresh()
    assert refused.problem is not None and "link" in refused.problem.detail
    assert "not known" in refused.problem.detail
