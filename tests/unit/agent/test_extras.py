"""What devloop did not ship can be told, read and removed, but never what is managed or protected."""

import os
from pathlib import Path

import pytest

from agent import extras
from devloop.core import entry, problem
from devloop.fs import atomic
from tests.unit.agent import target
from tests.unit.agent.target import D, L, Target, Things
from tests.unit.agent.test_sweep import ignored

SHIPPED: Things = {"a": "1", "build/tracked": "2"}
OTHERS: Things = {
    "e": "1",
    "d/f": "2",
    "d/build/o": "3",
    "build/out": "4",
    "x.tmp": "5",
    ".git/x": "6",
    "l": L("a"),
    "n": D,
}


def test_the_full_manifest_holds_everything_but_what_is_protected(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    box.become(SHIPPED)
    target.write_disk(box.data, OTHERS)
    os.mkfifo(box.data / "fifo")
    read = []
    real = atomic.digest_of

    def seen(fd: int, name: str) -> tuple[bytes, int]:
        read.append(name)
        return real(fd, name)

    monkeypatch.setattr(atomic, "digest_of", seen)
    found = extras.manifest(box.root, box.store, ignored)
    told: Things = {"a": "1", "build": D, "build/tracked": "2", "e": "1", "d": D, "d/f": "2", "l": L("a"), "n": D}
    assert found.entries == {path: target.entry_of(thing) for path, thing in told.items()}
    assert found.problems == ()
    assert found.protected_count == 3
    assert sorted(read) == ["e", "f"]
    assert extras.manifest(box.root, box.store, ignored, all=False).entries == dict(box.store.tree)


def test_what_cannot_be_read_is_a_problem(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    target.write_disk(box.data, {"a": "1", "b": "2", "d/c": "3"})
    real = os.open

    def refuse(name: str, *rest: int, **more: int) -> int:
        if name in {"b", "d"}:
            raise PermissionError(13, "Permission denied")
        return real(name, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    found = extras.manifest(box.root, box.store, ignored)
    assert set(found.entries) == {"a", "d"}
    assert {(trouble.path, trouble.reason) for trouble in found.problems} == {
        ("b", problem.Reason.UNREADABLE),
        ("d", problem.Reason.UNREADABLE),
    }


def pull(box: Target, path: str, wanted: entry.Entry) -> tuple[bytes, list[problem.Reason]]:
    items = list(extras.read_for_pull(box.root, path, wanted))
    content = b"".join(item for item in items if isinstance(item, bytes))
    return content, [item.reason for item in items if isinstance(item, problem.Problem)]


@pytest.mark.parametrize("text", ["", "1", "x" * 600_000])
def test_a_file_is_read_in_parts(box: Target, text: str) -> None:
    target.write_disk(box.data, {"d/a": text})
    assert pull(box, "d/a", target.entry_of(text)) == (text.encode(), [])


def test_a_file_that_changed_or_grew_is_told_at_the_end(box: Target) -> None:
    target.write_disk(box.data, {"a": "1" * 1000})
    assert pull(box, "a", target.entry_of("2" * 1000))[1] == [problem.Reason.CHANGED_IN_TRANSIT]
    assert pull(box, "a", target.entry_of("1" * 10)) == (b"", [problem.Reason.CHANGED_IN_TRANSIT])
    assert pull(box, "a", target.entry_of("1" * 2000))[1] == [problem.Reason.CHANGED_IN_TRANSIT]


def test_what_is_no_file_in_the_root_is_not_read(box: Target, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    target.write_disk(box.data, {"l": L("../../secret"), "d": D, "ld": L("../..")})
    for path in ("l", "d", "ld/secret", "missing"):
        assert pull(box, path, target.entry_of("secret")) == (b"", [problem.Reason.UNREADABLE])
    assert pull(box, "../secret", target.entry_of("secret")) == (b"", [problem.Reason.UNSAFE_NAME])
