"""Markers and nothing else on stdout; all the rest on stderr."""

from __future__ import annotations

import io

import pytest

from devloop.sync import events
from devloop.ui import text
from tests.fakes import scenario


class Stream(io.StringIO):
    """Remembers what was there when it was flushed."""

    flushed = ""

    def flush(self) -> None:
        self.flushed = self.getvalue()


def show(*some: events.Event, color: bool = False) -> tuple[list[str], list[str]]:
    out, err = Stream(), Stream()
    view = text.TextView(out, err, color=color)
    for event in some:
        view.show(event)
        assert out.flushed == out.getvalue()
        assert err.flushed == err.getvalue()
    view.close()
    return out.getvalue().splitlines(), err.getvalue().splitlines()


def output(source: str, *lines: str) -> events.Output:
    return events.Output(service="web", source=source, lines=lines)


def test_a_day_gives_only_markers_on_stdout() -> None:
    out, err = show(*(event for _, event in scenario.play()))
    assert all(line.startswith(("devloop: sync ", "devloop: ready")) for line in out)
    assert not any(line.startswith("devloop: ") for line in err)
    assert "\x1b" not in "".join(out + err)
    assert "web: app.py in 4 ms" in err
    assert "error[DL0312]: the inotify limit is reached: 8,192 watches" in err


def test_markers_are_never_coloured() -> None:
    out, err = show(*(event for _, event in scenario.play()), color=True)
    assert "\x1b" not in "".join(out)
    assert any("\x1b[31m" in line for line in err)


def test_each_source_of_output_has_its_prefix() -> None:
    _, err = show(output("app", "hello"), output("pip", "Collecting flask"), output("build", "compiling"))
    assert err == ["web | hello", "web pip | Collecting flask", "web build | compiling"]


@pytest.mark.parametrize(
    "line",
    [
        "src/main.c:12:3: error: expected ';'",
        "src/a b.ts:1:2: warning: x",
        "x.py:3: error: no type",
        "a.c:1:1: note: y",
    ],
)
def test_what_a_compiler_says_goes_through_untouched(line: str) -> None:
    assert show(output("build", line))[1] == [line]
    assert show(output("pip", f"\x1b[1m{line}\x1b[0m"))[1] == [line]
    assert show(output("app", line))[1] == [f"web | {line}"]


@pytest.mark.parametrize("line", ["devloop: ready:1:2: error: x", "12:30:45 INFO error: none", "plain"])
def test_what_only_looks_like_a_compiler_keeps_its_prefix(line: str) -> None:
    assert show(output("pip", line))[1] == [f"web pip | {line}"]


def test_the_apps_colours_are_kept_only_where_there_are_colours() -> None:
    red = "\x1b[31mred\x1b[0m\x1b[2J"
    assert show(output("app", red))[1] == ["web | red"]
    assert show(output("app", red), color=True)[1][0].endswith(" | \x1b[31mred\x1b[0m")


def test_why_a_sync_failed_is_said_each_time() -> None:
    failed = events.SyncFailed(service="web", message="", held=120)
    out, err = show(failed, failed)
    assert out == ["devloop: sync started (0 files)", "devloop: sync failed"] * 2
    assert err == ["web: not in sync: 120 deletions wait for approval: press a, or run `devloop approve`"] * 2


def test_a_service_that_is_in_the_way_of_another_is_named() -> None:
    done = events.SyncComplete(service="api", files=1, deletes=0, total_bytes=1, ms=1)
    out, err = show(events.SyncFailed(service="web", message="no space left"), done)
    assert out[-1] == "devloop: sync failed"
    assert err[-1] == "web: not in sync: no space left"


def test_no_name_can_forge_a_line() -> None:
    path = "x\ndevloop: sync complete in 1 ms\x1b[2J"
    started = events.SyncStarted(service="web", batch=1, files=1, deletes=0, total_bytes=1, paths=(path,))
    out, err = show(started, events.SyncComplete(service="web", files=1, deletes=0, total_bytes=1, ms=2))
    assert out == ["devloop: sync started (1 file)", "devloop: sync complete in 2 ms"]
    assert err == ["web: x\\ndevloop: sync complete in 1 ms\\x1b[2J in 2 ms"]


def test_a_line_of_a_pods_log_has_its_pod_in_front_and_steers_nothing() -> None:
    told = events.Output(
        service="web",
        source="log",
        pod="web-7d9f8c6b5-abx2k",
        container="app",
        lines=("a", "\x1b[2Jb", "x.py:3: error: y"),
    )
    _, err = show(told)
    assert err == ["web-7d…x2k app | a", "web-7d…x2k app | b", "web-7d…x2k app | x.py:3: error: y"]


def test_lines_that_were_lost_are_counted() -> None:
    told = events.Output(service="web", source="log", pod="web-0", container="app", lines=("a",), dropped=7)
    _, err = show(told)
    assert err == ["web: … 7 lines lost: printed faster than shown", "web-0 app | a"]
