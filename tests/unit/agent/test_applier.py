"""Batches from their first op to their end: bodies, refusals, full disks, several at once."""

import contextlib
import errno
import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import applier, journal, roots, store
from devloop import errors
from devloop.core import delta, entry, ops, problem
from devloop.fs import atomic
from tests.unit.agent import target
from tests.unit.agent.target import D, L, Target, Things, X


def reasons(applied: applier.Applied) -> dict[str, problem.Reason]:
    return {trouble.path: trouble.reason for _, trouble in applied.problems}


def file_op(path: str, thing: target.Thing) -> ops.Op:
    return ops.put(0, path, target.entry_of(thing))


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize("size", [0, 1, 1000, 3_000_001])
@pytest.mark.parametrize("part", [1000, 1_000_000])
def test_a_body_in_parts(box: Target, size: int, part: int) -> None:
    data = os.urandom(size)
    box.applier.begin(1, [ops.put(0, "a/b", entry.file(hashlib.sha256(data).digest(), size))])
    for at in range(0, size, part):
        box.applier.chunk(1, 0, at, data[at : at + part], last=at + part >= size)
    assert box.applier.commit(1).problems == ()
    assert (box.data / "a/b").read_bytes() == data


def test_a_file_beyond_two_gibibytes(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    # Only the offsets are large: the first part is declared to be there already.
    size = 2**31 + 5
    box.applier.begin(1, [ops.put(0, "a", entry.file(bytes(32), size))])
    box.applier.chunk(1, 0, 0, b"12345", last=False)
    incoming = next(iter(box.applier._batches[1]._incoming.values()))
    incoming.received_bytes = 2**31
    box.applier.chunk(1, 0, 2**31, b"67890", last=False)
    [name] = box.staged()
    assert os.stat(name, dir_fd=box.root.stage_fd).st_size == size
    box.applier.abort_all()


@pytest.mark.parametrize(
    ("parts", "last"),
    [([b"wrong"], True), ([b"hel"], True), ([b"hello", b"more"], True), ([b"hello there"], False), ([], False)],
    ids=["wrong", "short", "long", "long at once", "none"],
)
def test_a_wrong_body_is_its_own_trouble_only(box: Target, parts: list[bytes], last: bool) -> None:
    box.put({"a": "old"})
    box.applier.begin(9, [file_op("a", "hello"), file_op("b", "fine")])
    at = 0
    for part in parts:
        box.applier.chunk(9, 0, at, part, last=last and part is parts[-1])
        at += len(part)
    box.applier.body(9, 1, b"fine")
    assert reasons(box.applier.commit(9)) == {"a": problem.Reason.CHANGED_IN_TRANSIT}
    assert box.disk() == {"a": "old", "b": "fine"}
    box.assert_agrees()


@pytest.mark.parametrize("body", [b"hellO", b"hello!", b""])
def test_a_wrong_whole_body_too(box: Target, body: bytes) -> None:
    box.applier.begin(9, [file_op("a", "hello")])
    box.applier.body(9, 0, body)
    assert reasons(box.applier.commit(9)) == {"a": problem.Reason.CHANGED_IN_TRANSIT}
    assert box.disk() == {}
    assert box.staged() == []


def test_bodies_wait_outside_the_folder_that_the_app_sees(box: Target) -> None:
    box.begin(file_op("a/b", "1"), file_op("c", X("2")), bodies={"a/b": "1", "c": "2"})
    assert box.disk() == {}
    assert len(box.staged()) == 2
    assert Path(box.spec.stage, "bodies").stat().st_mode & 0o077 == 0


def test_only_a_body_that_replaces_a_file_is_made_ready_for_a_slow_rename(
    box: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, reserved = atomic.write_new, []

    def write_new(*told: Any, reserve: bool = False) -> int:
        reserved.append(reserve)
        return real(*told, reserve=reserve)

    monkeypatch.setattr(atomic, "write_new", write_new)
    box.put({"old": "one"})
    for slow in (False, True):
        box.root.writes_at_rename = slow
        reserved.clear()
        box.put({"old": f"two {slow}", f"new {slow}": "1"})
        assert sorted(reserved) == [False, slow]


def test_a_cancelled_op_is_dropped_and_its_late_parts_are_ignored(box: Target) -> None:
    box.applier.begin(50, [file_op("a", "hello"), file_op("b", "1"), file_op("c", "1"), ops.delete(0, "d")])
    box.put({"d": "1"})
    box.applier.chunk(50, 0, 0, b"he", last=False)
    box.applier.body(50, 1, b"1")
    box.applier.cancel(50, [0, 1, 3])
    box.applier.chunk(50, 0, 2, b"llo", last=True)
    box.applier.body(50, 1, b"1")
    box.applier.body(50, 2, b"1")
    assert box.applier.commit(50).problems == ()
    assert box.disk() == {"c": "1", "d": "1"}
    box.assert_agrees()


def test_an_aborted_batch_leaves_nothing(box: Target) -> None:
    box.put({"a": "old"})
    for number in (7, 8):
        box.applier.begin(number, [file_op("a", "new"), ops.delete(0, "b"), file_op("c", "hello")])
        box.applier.body(number, 0, b"new")
        box.applier.chunk(number, 2, 0, b"he", last=False)
    box.applier.abort(7)
    box.applier.abort(7)
    box.applier.abort_all()
    assert box.disk() == {"a": "old"}
    box.assert_agrees()
    with pytest.raises(errors.RemoteProtocolError):
        box.applier.commit(8)


def test_ops_may_come_in_several_parts(box: Target) -> None:
    box.applier.begin(1, [file_op("a", "1")])
    box.applier.body(1, 0, b"1")
    box.applier.add_ops(1, [file_op("b", "2"), ops.put(0, "l", entry.link(b"a"))])
    box.applier.body(1, 1, b"2")
    box.applier.commit(1)
    assert box.disk() == {"a": "1", "b": "2", "l": L("a")}


def test_a_batch_may_overtake_another(box: Target) -> None:
    box.applier.begin(1, [file_op("big", "hello")])
    box.applier.chunk(1, 0, 0, b"he", last=False)
    box.applier.begin(2, [file_op("small", "1")])
    box.applier.body(2, 0, b"1")
    box.applier.commit(2)
    assert box.disk() == {"small": "1"}
    box.applier.chunk(1, 0, 2, b"llo", last=True)
    box.applier.commit(1)
    assert box.disk() == {"small": "1", "big": "hello"}
    box.assert_agrees()


# ---------------------------------------------------------------- content that is here already


def test_content_is_copied_from_a_managed_file(box: Target) -> None:
    box.put({"old/name": "content"})
    box.applier.begin(1, [file_op("new/name", X("content")), ops.delete(0, "old/name")])
    assert box.applier.copy(1, 0, 0, "old/name")
    assert box.applier.commit(1).problems == ()
    assert box.disk() == {"old": D, "new": D, "new/name": X("content")}
    box.assert_agrees()


def test_content_that_is_not_what_was_wanted_must_be_sent(box: Target, tmp_path: Path) -> None:
    secret = "secret"
    (tmp_path / "secret").write_text(secret)
    target.write_disk(box.data, {"extra": secret, "link": L("../../secret")})
    box.put({"changed": secret, "gone": secret, "other": "x", "swapped": secret})
    (box.data / "changed").write_text("SECRET")
    (box.data / "gone").unlink()
    (box.data / "swapped").unlink()
    (box.data / "swapped").symlink_to(tmp_path / "secret")
    for number, source in enumerate(["extra", "link", "changed", "gone", "other", "swapped", "no/such", "new"], 10):
        box.applier.begin(number, [file_op("new", secret)])
        assert not box.applier.copy(number, 0, 0, source), source
        assert box.applier.base(0, source, target.entry_of(secret).digest) is None
        box.applier.body(number, 0, secret.encode())
        box.applier.abort(number)
    assert box.staged() == []


def test_the_base_of_a_delta_is_the_file_itself(box: Target) -> None:
    box.put({"a/b": "content", "empty": ""})
    digest = target.entry_of("content").digest
    assert box.applier.base(0, "a/b", digest) == b"content"
    assert box.applier.base(0, "empty", entry.EMPTY_DIGEST) == b""
    assert box.applier.base(0, "a/b", bytes(32)) is None
    (box.data / "a/b").write_text("CONTENT")
    assert box.applier.base(0, "a/b", digest) is None


def test_content_is_made_from_a_difference(box: Target) -> None:
    old, new = "line\n" * 20_000, "line\n" * 10_000 + "edit\n" + "line\n" * 10_000
    box.put({"f": old})
    difference = delta.make(old.encode(), new.encode())
    number = box.begin(ops.put(0, "f", target.entry_of(new)))
    assert box.applier.delta(number, 0, target.entry_of(old).digest, difference)
    box.applier.commit(number)
    assert box.disk() == {"f": new}
    box.assert_agrees()


@pytest.mark.parametrize("wrong", ["base", "garbage", "bomb", "other content", "drift", "gone"])
def test_a_difference_that_does_not_give_the_content_must_be_sent_whole(box: Target, wrong: str) -> None:
    old, new = "line\n" * 20_000, "line\n" * 20_000 + "edit\n"
    box.put({"f": old})
    base, difference = target.entry_of(old).digest, delta.make(old.encode(), new.encode())
    if wrong == "base":
        base = bytes(32)
    elif wrong == "garbage":
        difference = b"garbage"
    elif wrong == "bomb":
        difference = delta.make(old.encode(), bytes(50_000_000))
    elif wrong == "other content":
        difference = delta.make(old.encode(), new.upper().encode())
    elif wrong == "drift":
        (box.data / "f").write_text("other")
    else:
        (box.data / "f").unlink()
    number = box.begin(ops.put(0, "f", target.entry_of(new)))
    assert not box.applier.delta(number, 0, base, difference)
    box.applier.body(number, 0, new.encode())
    assert not box.applier.commit(number).problems
    assert box.disk() == {"f": new}


def test_a_difference_for_an_op_that_was_dropped_asks_for_nothing(box: Target) -> None:
    box.put({"f": "old"})
    number = box.begin(ops.put(0, "f", target.entry_of("new")))
    box.applier.cancel(number, [0])
    assert box.applier.delta(number, 0, bytes(32), b"")


@pytest.mark.parametrize("index", [1, 2, 99, -1])
def test_a_difference_for_what_takes_no_body_breaks_the_protocol(box: Target, index: int) -> None:
    number = box.begin(ops.put(0, "f", target.entry_of("f")), ops.put(0, "d", target.entry_of(D)), ops.delete(0, "x"))
    with pytest.raises(errors.RemoteProtocolError):
        box.applier.delta(number, index, bytes(32), b"")


def test_a_large_file_is_no_base(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    box.put({"a": "content"})
    monkeypatch.setattr(applier, "MAX_BASE_BYTES", 6)
    assert box.applier.base(0, "a", target.entry_of("content").digest) is None


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/x",
        "a/../../x",
        "a\0b",
        ".git/x",
        "a/.devloop/b",
        "",
        "a//b",
        "./a",
        "a/",
        "x" * 256,
        "x/" * 2048 + "x",
    ],
)
def test_a_bad_path_is_refused_and_the_rest_goes_on(box: Target, path: str) -> None:
    before = sorted(p for p in Path(box.spec.data).parent.parent.rglob("*") if "bodies" not in p.parts)
    batch = [ops.put(0, path, entry.file(bytes(32), 1)), ops.delete(0, "y"), file_op("fine", "1")]
    box.applier.begin(1, batch)
    box.applier.body(1, 0, b"1")
    box.applier.body(1, 2, b"1")
    assert reasons(box.applier.commit(1)) == {path: problem.Reason.UNSAFE_NAME}
    for op in (ops.delete(0, path), ops.adopt(0, path, entry.folder()), ops.forget(0, path)):
        assert reasons(box.batch(op)) == {path: problem.Reason.UNSAFE_NAME}
    assert box.disk() == {"fine": "1"}
    after = sorted(p for p in Path(box.spec.data).parent.parent.rglob("*") if "bodies" not in p.parts)
    assert [p for p in after if p not in before] == [box.data / "fine"]
    with pytest.raises(errors.RemoteProtocolError):
        box.applier.base(0, path, bytes(32))


def test_what_is_mounted_beneath_is_neither_written_nor_removed(tmp_path: Path) -> None:
    spec = msgspec.structs.replace(target.spec_in(tmp_path), keep=("a/conf",))
    with contextlib.closing(Target(spec)) as box:
        target.write_disk(box.data, {"a/conf": target.D})
        ours: dict[str, target.Thing] = {"a": target.D, "a/conf": target.D, "a/conf/x": "1", "a/confer": "2"}
        in_the_way = problem.Reason.IN_THE_WAY
        assert reasons(box.put(ours)) == {"a/conf": in_the_way, "a/conf/x": in_the_way}
        assert reasons(box.batch(ops.delete(0, "a/conf"))) == {"a/conf": in_the_way}
        assert reasons(box.batch(ops.delete(0, "a"))) == {"a": in_the_way}
        assert reasons(box.put({"a": "a file"})) == {"a": in_the_way}
        assert box.disk() == {"a": target.D, "a/conf": target.D, "a/confer": "2"}


@pytest.mark.parametrize("link", ["/etc/passwd", "..", "../../x", "a/../../../x"])
def test_a_link_that_leads_out_is_refused(box: Target, link: str) -> None:
    applied = box.put({"d/l": L(link), "d/fine": L("../x")})
    expected = {"d/l": problem.Reason.LINK_ESCAPES} if link != ".." else {}
    assert reasons(applied) == expected
    assert "d/fine" in box.disk()


GOOD = ops.put(0, "a", entry.file(hashlib.sha256(b"hello").digest(), 5))


@pytest.mark.parametrize(
    "bad",
    [
        [ops.delete(1, "a")],
        [ops.delete(-1, "a")],
        [GOOD, ops.delete(0, "a")],
        [ops.Op(ops.Action.PUT, 0, "a")],
        [ops.put(0, "a", entry.file(b"short", 5))],
        [ops.put(0, "a", entry.file(bytes(32), -1))],
        [ops.put(0, "a", entry.link(b""))],
        [ops.adopt(0, "a", entry.link(b"a\0b"))],
    ],
)
def test_what_no_honest_peer_sends_breaks_the_protocol(box: Target, bad: list[ops.Op]) -> None:
    with pytest.raises(errors.RemoteProtocolError):
        box.applier.begin(1, bad)
    box.applier.begin(1, [ops.put(0, "b", entry.folder())])
    with pytest.raises(errors.RemoteProtocolError):
        box.applier.add_ops(1, bad)
    box.applier.commit(1)
    assert box.disk() == {"b": D}


def test_bodies_that_nobody_asked_for_break_the_protocol(box: Target) -> None:
    subject = box.applier
    subject.begin(1, [GOOD, ops.delete(0, "b"), ops.put(0, "c", entry.folder()), file_op("d", "hello")])
    subject.chunk(1, 3, 0, b"he", last=False)
    broken: list[Callable[[], object]] = [
        lambda: subject.begin(1, []),
        lambda: subject.body(2, 0, b""),
        lambda: subject.body(1, 4, b""),
        lambda: subject.body(1, -1, b""),
        lambda: subject.body(1, 1, b""),
        lambda: subject.body(1, 2, b""),
        lambda: subject.body(1, 3, b"hello"),
        lambda: subject.chunk(1, 3, 3, b"lo", last=True),
        lambda: subject.copy(1, 0, 1, "x"),
        lambda: subject.copy(1, 0, 0, "../x"),
        lambda: subject.base(1, "x", b""),
        lambda: subject.cancel(1, [4]),
        lambda: subject.commit(2),
    ]
    for call in broken:
        with pytest.raises(errors.RemoteProtocolError):
            call()
    subject.body(1, 0, b"hello")
    with pytest.raises(errors.RemoteProtocolError):
        subject.body(1, 0, b"hello")
    subject.chunk(1, 3, 2, b"llo", last=True)
    assert subject.commit(1).problems == ()


# ---------------------------------------------------------------- full disks


def fail_with(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["open", "write", "pwrite", "symlink"])
def test_a_disk_that_fills_up_leaves_the_old_tree_whole(
    box: Target, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    old: Things = {"a": "1", "b": "1", "d/e": "1"}
    box.become(old)
    before = box.store.tree.digest

    def full(*_: object, **__: object) -> int:
        raise fail_with(number)

    batch = [file_op("a", "2"), file_op("c", "hello"), ops.put(0, "l", entry.link(b"a")), ops.delete(0, "b")]
    box.applier.begin(5, [*batch, file_op("w", "later")])
    box.applier.body(5, 0, b"2")
    box.applier.chunk(5, 1, 0, b"he", last=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        box.applier.chunk(5, 1, 2, b"llo", last=True)
        box.applier.body(5, 4, b"later")
        applied = box.applier.commit(5)
    assert not applied.is_applied
    [(_, trouble)] = applied.problems
    assert (trouble.reason, trouble.errno) == (problem.Reason.NO_SPACE, number)
    assert "nothing of this batch of 5 was applied" in trouble.detail
    assert (applied.changed, applied.digests) == (0, (before,))
    assert box.disk() == target.whole(old)
    box.assert_agrees()
    assert box.become({"a": "2"}).problems == ()
    assert box.disk() == {"a": "2"}


def test_a_journal_that_cannot_be_written_stops_the_batch(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    box.become({"a": "1"})
    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "write", lambda *_: (_ for _ in ()).throw(fail_with(errno.ENOSPC)))
        assert not box.put({"a": "2"}).is_applied
        patch.setattr(journal.Journal, "write", lambda *_: (_ for _ in ()).throw(fail_with(errno.EIO)))
        with pytest.raises(errors.AgentError, match=r"state in .*EIO; uid"):
            box.put({"a": "2"})
    assert box.disk() == {"a": "1"}
    box.assert_agrees()
    assert box.put({"a": "2"}).changed == 1


def test_a_full_stage_is_emptied_at_once_and_late_bodies_are_ignored(
    box: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.applier.begin(5, [file_op("a", "1"), file_op("b", "2"), file_op("c", "3")])
    box.applier.body(5, 0, b"1")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(fail_with(errno.ENOSPC)))
        box.applier.body(5, 1, b"2")
    assert os.listdir(box.root.stage_fd) == []
    box.applier.body(5, 2, b"3")
    assert os.listdir(box.root.stage_fd) == []
    assert not box.applier.commit(5).is_applied


def test_a_disk_with_little_left_is_not_begun_with(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots.Root, "free_bytes", lambda _: 70_000)
    assert box.put({"a": "1"}).is_applied
    applied = box.put({f"d{index}": D for index in range(20)})
    assert not applied.is_applied
    assert box.disk() == {"a": "1"}


def test_a_file_beyond_the_limit_of_its_file_system_is_one_problem(
    box: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(
        os, "write", lambda fd, data: real(fd, data) if len(data) < 3 else (_ for _ in ()).throw(fail_with(errno.EFBIG))
    )
    applied = box.put({"a": "1", "b": "too large"})
    assert applied.is_applied
    assert reasons(applied) == {"b": problem.Reason.NO_SPACE}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "small"
    where.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a small file system takes root and the right to mount")
    yield where
    subprocess.run(["umount", str(where)], check=True)


def test_a_real_disk_that_is_really_full(small_disk: Path) -> None:
    with target.opened(small_disk) as box:
        old: Things = {"a": "x" * 100_000, "b/c": "y" * 100_000}
        assert box.become(old).problems == ()
        new: Things = {"a": "z" * 100_000, **{f"n{index}": "n" * 200_000 for index in range(6)}}
        applied = box.become(new)
        assert not applied.is_applied
        assert {trouble.reason for _, trouble in applied.problems} == {problem.Reason.NO_SPACE}
        assert box.disk() == target.whole(old)
        box.assert_agrees()
        assert box.become({"a": "z" * 100_000, "n": "n" * 300_000}).problems == ()
    with target.opened(small_disk) as box:
        assert box.store.verify() == ()


def test_a_state_folder_that_fills_up_after_the_commit_is_caught_up_with(
    box: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.become({"a": "1"})
    with monkeypatch.context() as patch:
        patch.setattr(store.Store, "settle", lambda *_: (_ for _ in ()).throw(fail_with(errno.ENOSPC)))
        with pytest.raises(errors.AgentError, match="No space left"):
            box.put({"a": "2", "b": "2"})
    assert box.disk() == {"a": "2", "b": "2"}
    assert box.put({"c": "3"}).problems == ()
    assert box.disk() == {"a": "2", "b": "2", "c": "3"}
    assert set(box.store.tree) == {"a", "b", "c"}
    box.assert_agrees()


def test_finishing_a_batch_does_not_delete_what_came_later(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    box.become({"a": "1", "b": "1", "d/c": "1"})
    with monkeypatch.context() as patch:
        patch.setattr(store.Store, "settle", lambda *_: (_ for _ in ()).throw(fail_with(errno.ENOSPC)))
        with pytest.raises(errors.AgentError):
            box.become({"b": "2"})
    target.write_disk(box.data, {"a": "theirs", "d/c": "theirs"})
    (box.data / "b").write_text("theirs")
    box.applier.recover()
    assert box.disk() == {"a": "theirs", "b": "theirs", "d": D, "d/c": "theirs"}
    # It is what devloop shipped once, so the laptop may still have it deleted.
    assert {drift.path: drift.was for drift in box.store.drifted()} == {
        path: target.entry_of(text) for path, text in {"a": "1", "b": "2", "d/c": "1"}.items()
    }
    assert box.become({"b": "2"}).problems == ()
    assert box.disk() == {"b": "2", "d": D}
    box.assert_agrees()


def test_a_batch_that_was_stored_but_not_marked_as_done_is_not_done_twice(
    box: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.become({"a": "1", "b": "1"})
    monkeypatch.setattr(journal.Journal, "done", lambda *_: (_ for _ in ()).throw(fail_with(errno.ENOSPC)))
    assert box.become({"b": "2"}).problems == ()
    target.write_disk(box.data, {"a": "theirs"})
    finished = box.applier.recover().finished
    assert finished is not None
    assert (finished.changed, finished.problems) == (0, ())
    assert box.disk() == {"a": "theirs", "b": "2"}
    assert set(box.store.tree) == {"b"}


def test_a_rename_by_case_only_is_finished(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    box.become({"README": "1"})
    monkeypatch.setattr(store.Store, "settle", lambda *_: (_ for _ in ()).throw(fail_with(errno.ENOSPC)))
    with pytest.raises(errors.AgentError):
        box.become({"readme": "1"})
    monkeypatch.undo()
    # On a disk that ignores case, the old name leads to the new file.
    os.link(box.data / "readme", box.data / "README")
    box.applier.recover()
    assert box.disk() == {"README": "1", "readme": "1"}


def test_what_was_replaced_is_given_back_later(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    old: Things = {"a": "1" * 1000, "b": "1" * 1000}
    box.become(old)
    box.become({"a": "2"})
    assert len(os.listdir(box.root.stage_fd)) == 2
    assert box.applier.tidy(0.0) is False
    assert box.applier.tidy()
    assert os.listdir(box.root.stage_fd) == []
    monkeypatch.setattr(applier, "_GARBAGE_BYTES", 1000)
    for _ in range(2):
        box.become(old)
        box.become({"a": "2"})
        assert len(os.listdir(box.root.stage_fd)) <= 3


def test_files_are_replaced_where_there_are_no_hard_links(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    box.become({"a": "1", "b": "1"})
    assert box.become({"a": "2"}).problems == ()
    assert os.listdir(box.root.stage_fd) == []
    assert box.disk() == {"a": "2"}


def test_a_batch_for_a_volume_that_is_gone_is_not_finished_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with target.opened(tmp_path) as box:
        with monkeypatch.context() as patch:
            patch.setattr(store.Store, "settle", lambda *_: (_ for _ in ()).throw(fail_with(errno.ENOSPC)))
            with pytest.raises(errors.AgentError):
                box.put({"a": "1"})
        (box.data / "a").unlink()
        Path(box.spec.state, "tree-id").write_text("f" * 32)
    with target.opened(tmp_path) as box:
        assert box.recovered.finished is not None
        assert box.recovered.finished.changed == 0
        assert dict(box.store.rows) == {}
        assert box.applier.recover().finished is None


# ---------------------------------------------------------------- roots


def test_a_batch_spans_roots(tmp_path: Path) -> None:
    specs = [target.spec_in(tmp_path, "one"), target.spec_in(tmp_path, "two")]
    opened = [roots.Root.open(spec) for spec in specs]
    stores = [store.Store(root) for root in opened]
    for shelf in stores:
        shelf.open()
    with applier.Applier(opened, stores) as subject:
        subject.recover()
        some = target.entry_of("content")
        subject.begin(1, [ops.put(0, "a", some), ops.put(1, "a", some), ops.delete(1, "../b")])
        subject.body(1, 0, b"content")
        subject.body(1, 1, b"content")
        applied = subject.commit(1)
        assert [(root, trouble.path) for root, trouble in applied.problems] == [(1, "../b")]
        assert applied.digests[0] == applied.digests[1] != bytes(32)
        subject.begin(2, [ops.put(1, "b", some), ops.delete(0, "a")])
        assert subject.copy(2, 0, 0, "a")
        assert subject.commit(2).changed == 2
    assert [target.read_disk(Path(spec.data)) for spec in specs] == [{}, {"a": "content", "b": "content"}]
    for shelf in stores:
        shelf.close()
    for root in opened:
        root.close()


def test_a_target_that_was_removed_meanwhile_is_made_again(box: Target) -> None:
    box.become({"a": "1", "b/c": "1"})
    box.data.rename(box.data.with_name("old"))
    applied = box.put({"d": "1"})
    assert applied.problems == ()
    assert box.disk() == {"d": "1"}
    assert set(box.store.tree) == {"d"}
    assert box.become({"a": "1", "d": "1"}).problems == ()
    assert box.disk() == {"a": "1", "d": "1"}
    box.assert_agrees()
