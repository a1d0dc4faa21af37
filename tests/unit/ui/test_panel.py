"""What the panel shows, in the width there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.sync import events
from devloop.ui import panel
from devloop.ui.style import Tone
from tests.fakes import scenario

NOW = 1000.0


def lines(*some: events.Event, width: int = 99, now_s: float = NOW) -> list[str]:
    subject = panel.Panel()
    for event in some:
        subject.take(event)
    return ["".join(text for text, _ in line) for line in subject.lines(width, now_s)]


def project(*services: str) -> events.ProjectStarted:
    return events.ProjectStarted(project="shop", folder="/p", services=services or ("web",), pid=1)


def row(*some: events.Event, now_s: float = NOW) -> str:
    return lines(project(), *some, now_s=now_s)[1]


def complete(files: int = 1, total_files: int = 0) -> events.SyncComplete:
    return events.SyncComplete(service="web", files=files, deletes=0, total_bytes=1, ms=4.2, total_files=total_files)


STARTED = events.SyncStarted(service="web", batch=1, files=1, deletes=0, total_bytes=1)


def link(target: str = "pod-1", *, up: bool, retry_s: float = 0.0, detail: str = "") -> events.LinkChanged:
    return events.LinkChanged(service="web", target=target, up=up, retry_s=retry_s, detail=detail, time=NOW)


@pytest.mark.parametrize(
    ("some", "shown"),
    [
        ([], "… web  starting"),
        ([STARTED], "↻ web  syncing"),
        ([STARTED, complete(total_files=312)], "✓ web  in sync · 4 ms · 312 files"),
        ([complete(), complete(0)], "✓ web  in sync · 4 ms"),
        ([complete(), events.Held(service="web", count=120)], "! web  held: 120 deletions, press a · 4 ms"),
        ([events.SyncFailed(service="web", message="", held=2)], "! web  held: 2 deletions, press a"),
        (
            [
                events.ProblemsChanged(service="web", problems=(), count=2),
                events.SyncFailed(service="web", message="", problems=2),
            ],
            "✗ web  partial · 2 problems",
        ),
        ([complete(), link(up=False, retry_s=3, detail="refused")], "✗ web  no link, retry in 3 s: refused · 4 ms"),
        ([complete(), link(up=False)], "✗ web  no link, retrying · 4 ms"),
        ([complete(), link(up=False), link(up=True)], "… web  checking · 4 ms"),
        ([complete(), link(up=False), link(up=True), complete(0)], "✓ web  in sync · 4 ms"),
        ([link(up=True), link("pod-2", up=False)], "✗ web  no link to 1, retrying · 2 pods"),
        ([STARTED, link(up=False), link(up=True)], "… web  checking"),
        ([events.Stopped(service="web", sync="a -> b", reason="is empty")], "✗ web  stopped: is empty"),
        (
            [
                complete(),
                events.Stopped(service="web", sync="a -> b", reason="x"),
                events.Resumed(service="web", sync="a -> b"),
            ],
            "✓ web  in sync · 4 ms",
        ),
        (
            [events.CommandDone(service="web", name="build", ok=False, outcome="exit 2", ms=1)],
            "✗ web  build failed: exit 2",
        ),
        ([complete(), events.CommandStarted(service="web", name="pip")], "✓ web  in sync · 4 ms · pip runs"),
        (
            [complete(), events.AppChanged(service="web", phase="running", pid=7, starts=3)],
            "✓ web  in sync · 4 ms · app pid 7, start 3",
        ),
        (
            [complete(), events.AppChanged(service="web", phase="crashed", pid=0, starts=3, detail="exit 1")],
            "✓ web  in sync · app crashed: exit 1 · 4 ms",
        ),
        (
            [complete(), events.Drifted(service="web", target="pod-1", count=1, paths=("a",), extra=3)],
            "! web  drifted · 4 ms · 1 changed there · 3 extra",
        ),
    ],
)
def test_a_services_line(some: list[events.Event], shown: str) -> None:
    assert row(*some) == shown


def test_the_countdown_counts_down() -> None:
    down = link(up=False, retry_s=3)
    assert "retry in 1 s" in row(down, now_s=NOW + 2)
    assert "retrying" in row(down, now_s=NOW + 5)


def test_only_a_countdown_changes_by_itself() -> None:
    subject = panel.Panel()
    assert not subject.counts_down()
    subject.take(link(up=False, retry_s=3))
    assert subject.counts_down()
    subject.take(link(up=True))
    assert not subject.counts_down()


def test_output_changes_nothing() -> None:
    subject = panel.Panel()
    assert not subject.take(events.Output(service="web", source="app", lines=("x",)))
    assert subject.take(STARTED)


def test_paused_is_told_in_the_rule_and_the_keys() -> None:
    shown = lines(project(), complete(), events.Paused(paused=True))
    assert " paused " in shown[0]
    assert shown[1] == "‖ web  paused · 4 ms"
    assert "p resume" in shown[-1]


def test_many_services_are_cut() -> None:
    shown = lines(project(*(f"service-{number}" for number in range(30))))
    assert len(shown) == panel.MAX_SERVICES + 3
    assert shown[-2] == "  … and 22 more: see `devloop status`"


@given(st.integers(1, 200), st.integers(0, 60))
def test_no_line_is_wider_than_the_terminal(width: int, count: int) -> None:
    shown = lines(*[event for _, event in scenario.play()][:count], width=width)
    assert all(len(line) <= width for line in shown)


def test_cutting_says_so() -> None:
    assert "".join(text for text, _ in panel.cut([("abc", Tone.DIM), ("def", Tone.BAD)], 5)) == "abcd…"
    assert "".join(text for text, _ in panel.cut([("abc", Tone.DIM)], 3)) == "abc"


def gone(target: str = "pod-1") -> events.LinkChanged:
    return events.LinkChanged(service="web", target=target, up=False, gone=True)


def test_a_target_that_is_gone_is_forgotten_with_what_was_in_it() -> None:
    drifted = events.Drifted(service="web", target="pod-1", count=1, paths=("a",))
    two = [link(up=True), link("pod-2", up=True), complete(), drifted, link(up=False, retry_s=3)]
    assert "no link to 1" in row(*two)
    assert row(*two, gone(), complete(0)) == "✓ web  in sync · 4 ms"


def test_without_any_target_nothing_is_said_to_be_in_sync() -> None:
    assert row(link(up=True), complete(), gone()) == "✗ web  waiting for a pod · 4 ms"
    assert row(link(up=True), complete(), gone(), link("pod-2", up=True)) == "… web  checking · 4 ms"


def test_forwards_are_one_line_and_those_that_failed_are_marked() -> None:
    def forward(local: str, to: str, state: str = "listening", kind: str = "ports") -> events.ForwardChanged:
        return events.ForwardChanged(service="web", kind=kind, local=local, to=to, state=state)

    some = [
        forward("localhost:8000", "pod port 80"),
        forward("localhost:9003", "pod port 9003", kind="reverse"),
        forward("localhost:1080", "names", kind="proxy"),
        forward("localhost:5432", "db:5432", "failed"),
        forward("localhost:7000", "x:1"),
        forward("localhost:7000", "x:1", "removed"),
    ]
    assert lines(project(), *some)[2].split("  ") == [
        "⇄ 8000→web:80",
        "web:9003→9003",
        "1080 proxy",
        "✗ 5432→db:5432 ",
    ]
    assert len(lines(project())) == 3
