"""What a system's error means for one path."""

import errno
import os

import pytest

from devloop.core import problem
from devloop.core.problem import Reason, Side


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EACCES, Reason.NOT_WRITABLE),
        (errno.EROFS, Reason.NOT_WRITABLE),
        (errno.ENOSPC, Reason.NO_SPACE),
        (errno.EDQUOT, Reason.NO_SPACE),
        (errno.EISDIR, Reason.IN_THE_WAY),
        (errno.ELOOP, Reason.IN_THE_WAY),
        (errno.ENAMETOOLONG, Reason.UNSAFE_NAME),
        (errno.EIO, Reason.IO),
        (0, Reason.IO),
    ],
)
def test_a_failed_write_has_a_reason_and_words(number: int, reason: Reason) -> None:
    found = problem.from_write_error("a", OSError(number, os.strerror(number)), "cannot be written")
    assert (found.path, found.reason, found.side, found.errno) == ("a", reason, Side.POD, number)
    assert found.detail == f"cannot be written: {os.strerror(number)}"


def test_a_failed_read_is_the_laptops() -> None:
    found = problem.from_read_error("a", PermissionError(errno.EACCES, "Permission denied"))
    assert found == problem.Problem("a", Reason.UNREADABLE, "Permission denied", Side.LAPTOP, errno.EACCES)


def test_an_error_without_words_has_its_own() -> None:
    assert problem.from_read_error("a", OSError("odd")).detail == "odd"
    assert problem.from_write_error("a", OSError("odd"), "no").detail == "no: odd"
