"""Exit statuses in words."""

import pytest

from devloop.core import exits


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "exit 0"), (1, "exit 1"), (255, "exit 255"), (-9, "killed by SIGKILL"), (-15, "killed by SIGTERM")],
)
def test_a_status_is_told_in_words(status: int, words: str) -> None:
    assert exits.describe(status) == words


def test_a_signal_without_a_name_keeps_its_number() -> None:
    assert exits.describe(-50) == "killed by signal 50"


@pytest.mark.parametrize(("shell", "status"), [(0, 0), (1, 1), (128, 128), (137, -9), (143, -15), (255, 255)])
def test_a_shells_status_tells_signals(shell: int, status: int) -> None:
    assert exits.from_shell(shell) == status
