"""What the launcher's folder says, and what it must not be believed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent import ctl


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"running 7 1 - 0\n", ctl.Told("running", 7, 1, None, 0)),
        (b"backoff 0 3 1 17\n", ctl.Told("backoff", 0, 3, 1, 17)),
        (b"crashed 0 3 143 17\n", ctl.Told("crashed", 0, 3, -15, 17)),
        (b"crashed 0 3 255 17\n", ctl.Told("crashed", 0, 3, 255, 17)),
        (b"", None),
        (b"running 7 1 - 0", None),
        (b"running 7 1 - 0\nmore\n", None),
        (b"running -7 1 - 0\n", None),
        (b"running 7 1 9999 0\n", None),
        (b"running 7 1 - 99999999999999999999\n", None),
        (b"\xff\x00" * 200, None),
    ],
)
def test_states(raw: bytes, told: ctl.Told | None) -> None:
    assert ctl.parse(raw) == told


@pytest.fixture
def control(tmp_path: Path) -> ctl.Control:
    (tmp_path / "state").write_text("running 7 1 - 0\n")
    return ctl.Control(str(tmp_path))


def test_without_a_reader_there_is_no_launcher(control: ctl.Control) -> None:
    assert (control.told(), control.order("start 1")) == (None, False)
    os.mkfifo(control.path("ctl"))
    assert (control.told(), control.order("start 1")) == (None, False)
    reader = os.open(control.path("ctl"), os.O_RDWR | os.O_NONBLOCK)
    assert control.told() is not None and control.order("start 1")
    assert os.read(reader, 100) == b"start 1\n"
    os.close(reader)
    assert control.told() is None


def test_an_order_that_does_not_fit_is_not_half_given(control: ctl.Control) -> None:
    os.mkfifo(control.path("ctl"))
    reader = os.open(control.path("ctl"), os.O_RDWR | os.O_NONBLOCK)
    given = 0
    while control.order("x" * 500):
        given += 1
    assert len(os.read(reader, 1 << 20)) == given * 501
    os.close(reader)


def test_links_and_other_things_are_not_followed(control: ctl.Control, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("key")
    os.symlink(secret, tmp_path / "status.1")
    os.mkfifo(tmp_path / "status.2")
    (tmp_path / "status.3").mkdir()
    assert [control.read(f"status.{n}") for n in range(4)] == [None] * 4
    os.symlink(secret, tmp_path / "ctl")
    assert not control.order("start 1")
    (tmp_path / "ctl").unlink()
    (tmp_path / "ctl").write_text("")
    assert not control.order("start 1")
    assert secret.read_text() == "key"
