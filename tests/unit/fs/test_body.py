"""What is sent is what the entry promised."""

import hashlib
import os
from pathlib import Path

import pytest

from devloop.core import entry
from devloop.fs import body


def entry_of(content: bytes) -> entry.Entry:
    return entry.file(hashlib.sha256(content).digest(), len(content))


@pytest.mark.parametrize("size", [0, 1, 10, 100])
@pytest.mark.parametrize("offset", [0, 1, 10])
def test_chunks_from_an_offset(tmp_path: Path, size: int, offset: int) -> None:
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    if offset > size:
        with pytest.raises(ValueError, match="offset"):
            body.Body("f", str(tmp_path / "f"), entry_of(content), offset)
        return
    with body.Body("f", str(tmp_path / "f"), entry_of(content), offset) as subject:
        assert subject.left_bytes == size - offset
        chunks = []
        while chunk := subject.read(7):
            assert len(chunk) <= 7
            chunks.append(chunk)
    assert b"".join(chunks) == content[offset:]


def test_the_last_chunk_of_another_content_is_not_returned(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    with body.Body("f", str(tmp_path / "f"), entry_of(b"012345678X")) as subject:
        subject.read(9)
        with pytest.raises(body.BodyChanged, match="content"):
            subject.read(9)


def test_a_file_that_shrinks_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    with body.Body("f", str(tmp_path / "f"), entry_of(b"0123456789")) as subject:
        subject.read(3)
        os.truncate(tmp_path / "f", 2)
        with pytest.raises(body.BodyChanged, match="shorter"):
            subject.read(3)


def test_a_file_replaced_after_opening_is_sent_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    with body.Body("f", str(tmp_path / "f"), entry_of(b"old")) as subject:
        (tmp_path / "g").write_bytes(b"new")
        (tmp_path / "g").rename(tmp_path / "f")
        assert subject.read(10) == b"old"


def test_what_is_not_the_file_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "longer").write_bytes(b"1234")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("longer")
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/dev/fd"))
    for name in ("longer", "folder", "link", "pipe", "none"):
        with pytest.raises(body.BodyChanged) as caught:
            body.Body(name, str(tmp_path / name), entry_of(b"123"))
        assert caught.value.path == name
    assert len(os.listdir("/dev/fd")) == before
