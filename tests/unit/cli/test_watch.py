"""`devloop watch`: which of the three ways it takes, and what it refuses before."""

from __future__ import annotations

from pathlib import Path

import pytest

from devloop import errors
from devloop.cli import watching
from tests.unit.cli import watched
from tests.unit.cli.run import devloop


@pytest.fixture(autouse=True)
def ways(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, watching.Asked]]:
    """Make a project, and note the way that is taken instead of taking it."""
    Path("devloop.yaml").write_text(watched.TEXT)
    Path("web").mkdir()
    taken: list[tuple[str, watching.Asked]] = []

    def way(name: str, outcome: errors.Exit | None) -> None:
        def take(settings: object, project: object, asked: watching.Asked) -> errors.Exit | None:
            taken.append((name, asked))
            return outcome

        monkeypatch.setattr(watching, name, take)

    way("join", None)
    way("foreground", errors.Exit.OK)
    way("detach", errors.Exit.PARTIAL)
    return taken


def test_in_the_foreground_by_default(
    capsys: pytest.CaptureFixture[str], ways: list[tuple[str, watching.Asked]]
) -> None:
    assert devloop(capsys, "watch", "web", "--takeover").status == 0
    (_, first), (name, asked) = ways
    assert name == "foreground" and asked == first
    assert asked == watching.Asked(services=("web",), once=False, takeover=True, plain=False)


@pytest.mark.parametrize(
    ("flags", "way"),
    [
        (["--patch"], "patch"),
        (["--attach"], "attach"),
        (["--no-attach"], "declared"),
        (["--patch", "--no-attach"], "patch"),
        ([], "first"),
    ],
)
def test_the_way_in(
    capsys: pytest.CaptureFixture[str], ways: list[tuple[str, watching.Asked]], flags: list[str], way: str
) -> None:
    assert devloop(capsys, "watch", *flags, "--agent-image", "mine:1").status == 0
    assert (ways[-1][1].rung, ways[-1][1].agent_image) == (way, "mine:1")


def test_in_the_background_where_that_is_asked(
    capsys: pytest.CaptureFixture[str], ways: list[tuple[str, watching.Asked]]
) -> None:
    assert devloop(capsys, "watch", "--detach").status == 3
    assert [name for name, _ in ways] == ["join", "detach"]


def test_along_with_one_that_watches_already(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, ways: list[tuple[str, watching.Asked]]
) -> None:
    monkeypatch.setattr(watching, "join", lambda *args: errors.Exit.OK)
    assert devloop(capsys, "watch").status == 0
    assert ways == []


def test_json_is_never_live(capsys: pytest.CaptureFixture[str], ways: list[tuple[str, watching.Asked]]) -> None:
    devloop(capsys, "watch", "-o", "json")
    assert ways[-1][1].plain


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--detach", "--once"], 2, "exclude each other"),
        (["--patch", "--attach"], 2, "exclude each other"),
        (["nope"], 2, "no service 'nope'"),
        (["-o", "yaml"], 2, "yaml"),
    ],
)
def test_what_makes_no_sense_is_refused(
    capsys: pytest.CaptureFixture[str],
    ways: list[tuple[str, watching.Asked]],
    arguments: list[str],
    status: int,
    words: str,
) -> None:
    ended = devloop(capsys, "watch", *arguments)
    assert ended.status == status and words in ended.err
    assert ways == []


def test_a_folder_that_is_missing_is_told_with_its_line(
    capsys: pytest.CaptureFixture[str], ways: list[tuple[str, watching.Asked]]
) -> None:
    Path("web").rmdir()
    ended = devloop(capsys, "watch")
    assert ended.status == 2 and "devloop.yaml:4:" in ended.err
    assert ways == []


def test_a_time_to_hold_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched():
        pass
    ended = devloop(capsys, "watch", "--hold", "soon")
    assert ended.status == 2 and "--hold: 'soon' is not a duration" in ended.err
