"""What is said, and that it is said once."""

from __future__ import annotations

import pytest

from devloop.sync import events
from devloop.ui import narrator
from devloop.ui.style import Tone


def say(*some: events.Event) -> list[str]:
    subject = narrator.Narrator()
    return [line.text for event in some for line in subject.tell(event)]


def started(*paths: str, git: bool = False) -> events.SyncStarted:
    return events.SyncStarted(service="web", batch=1, files=len(paths), deletes=0, total_bytes=1, paths=paths, git=git)


def complete(files: int, deletes: int = 0, total_bytes: int = 0, first: bool = False) -> events.SyncComplete:
    return events.SyncComplete(
        service="web", files=files, deletes=deletes, total_bytes=total_bytes, ms=4.2, first=first
    )


def test_a_save_is_named_and_timed() -> None:
    subject = narrator.Narrator()
    assert subject.tell(started("src/app.py")) == []
    line = subject.tell(complete(1, total_bytes=900))[0]
    assert (line.text, line.service, line.kind, line.ms) == ("src/app.py", "web", narrator.Kind.SAVE, 4.2)


@pytest.mark.parametrize(
    ("some", "text"),
    [
        ([started("a", "b"), complete(2, total_bytes=1500)], "2 files, 1.5 kB"),
        ([started("a"), complete(0, deletes=1)], "a deleted"),
        ([started("a"), complete(1, deletes=2)], "1 file, 2 deletions"),
        ([started("a", git=True), complete(900, deletes=100)], "900 files, 100 deletions (git)"),
        ([started("a\nb"), complete(1)], "a\\nb"),
        ([complete(0, first=True)], "in sync"),
    ],
)
def test_what_was_synced(some: list[events.Event], text: str) -> None:
    assert say(*some) == [text]


def test_a_second_save_does_not_name_the_first_one() -> None:
    assert say(started("a"), complete(1), started("b"), complete(1)) == ["a", "b"]


def test_why_a_service_is_not_in_sync_is_said_until_it_changes() -> None:
    held = events.SyncFailed(service="web", message="", held=120)
    said = say(held, held, events.SyncFailed(service="web", message="", problems=1), complete(0), complete(0))
    assert said == [
        "not in sync: 120 deletions wait for approval: press a, or run `devloop approve`",
        "not in sync: 1 path could not be synced: see `devloop status`",
        "in sync again",
    ]


def test_counts_that_the_message_says_too_are_told_once() -> None:
    message = "1 path could not be synced, 120 deletions wait for approval"
    (said,) = say(events.SyncFailed(service="web", message=message, problems=1, held=120))
    assert said == (
        "not in sync: 1 path could not be synced: see `devloop status`; "
        "120 deletions wait for approval: press a, or run `devloop approve`"
    )


def problems(*paths: str, count: int | None = None) -> events.ProblemsChanged:
    rows = tuple(events.ProblemRow(path, "io", "broken", "pod") for path in paths)
    return events.ProblemsChanged(service="web", problems=rows, count=len(rows) if count is None else count)


def test_a_problem_is_told_once_and_its_end_too() -> None:
    assert say(problems("a"), problems("a", "b"), problems("b"), problems()) == [
        "problem: a: broken (io, pod side)",
        "problem: b: broken (io, pod side)",
        "solved: a",
        "solved: b",
    ]


def test_many_problems_are_a_number() -> None:
    said = say(problems(*(f"f{number}" for number in range(50))))
    assert len(said) == narrator.PATHS_TOLD + 1
    assert said[-1] == "… and 40 more problems: see `devloop status`"


def test_a_problem_that_was_cut_from_the_list_is_not_called_solved() -> None:
    assert say(problems("a", "b"), problems("b", count=300))[2:] == []


def link(*, up: bool, detail: str = "", retry_s: float = 0.0) -> events.LinkChanged:
    return events.LinkChanged(service="web", target="pod-1", up=up, detail=detail, retry_s=retry_s)


def test_a_link_is_told_when_it_changes() -> None:
    down = link(up=False, detail="refused", retry_s=2.5)
    assert say(link(up=True), down, down, link(up=True), link(up=True)) == [
        "no link to pod-1: refused; next try in 2.5 s",
        "linked to pod-1 again",
    ]


def test_a_target_that_is_replaced_is_told_with_its_successor() -> None:
    gone = events.LinkChanged(service="web", target="pod-1", up=False, gone=True)
    other = events.LinkChanged(service="web", target="pod-2", up=True)
    assert say(link(up=True), gone, other) == ["pod-1 is gone", "linked to pod-2"]
    assert say(link(up=True), other) == []


def drift(count: int, *, overwritten: bool = False) -> events.Drifted:
    return events.Drifted(service="web", target="pod-1", count=count, paths=("a",), overwritten=overwritten)


def test_drift_is_told_when_it_grows_and_when_it_is_overwritten() -> None:
    said = say(drift(1), drift(1), drift(2), drift(0), drift(1, overwritten=True))
    assert said[::2] == [
        "drift: 1 file changed by somebody else in pod-1: a",
        "drift: 2 files changed by somebody else in pod-1: a, …",
        "overwrote 1 file that somebody else had changed in pod-1: a",
    ]


def forward(state: str, kind: str = "ports", detail: str = "", hint: str = "", code: str = "") -> events.ForwardChanged:
    return events.ForwardChanged(
        service="web",
        kind=kind,
        local="localhost:8000",
        to="pod port 80",
        state=state,
        detail=detail,
        hint=hint,
        code=code,
    )


FREE = "localhost:8000 -> pod port 80 (the first free one of 8000-8010)"


@pytest.mark.parametrize(
    ("event", "texts"),
    [
        (
            events.Notice(level=events.Level.ERROR, code="DL0123", message="it broke", hint="mend it"),
            ["error[DL0123]: it broke", "hint: mend it"],
        ),
        (events.Notice(level=events.Level.INFO, message="by the way"), ["by the way"]),
        (events.Notice(level=events.Level.WARNING, message="two\nlines"), ["warning: two lines"]),
        (
            events.Held(service="web", count=120, managed=300, paths=("a", "b")),
            [
                "120 deletions (of 300 files) wait for approval: press a, or run `devloop approve`",
                "held: a, b, …",
            ],
        ),
        (events.Held(service="web", count=0), ["no deletions wait any more"]),
        (
            events.Stopped(service="web", sync="web -> /app", reason="is empty", hint="mount it"),
            ["stopped web -> /app: is empty; nothing was deleted", "hint: mount it"],
        ),
        (events.Paused(paused=True), ["paused: nothing is sent until `devloop resume`"]),
        (events.Pulled(service="web", path="a.py"), ["pulled a.py"]),
        (
            events.Pulled(service="web", path="a.py", conflict=".devloop/conflicts/a.py"),
            ["conflict: a.py changed on both sides; the pod's version is .devloop/conflicts/a.py"],
        ),
        (events.AppChanged(service="web", phase="running", pid=7, starts=1), ["app running (pid 7)"]),
        (events.AppChanged(service="web", phase="running", pid=7, starts=3), ["app running (pid 7), start 3"]),
        (events.AppChanged(service="web", phase="crashed", pid=0, starts=1, detail="exit 1"), ["app crashed: exit 1"]),
        (
            events.CommandDone(service="web", name="pip", ok=False, outcome="exit 1", ms=1500),
            ["pip failed: exit 1, after 1.5 s"],
        ),
        (events.GitMoved(old="1a2b", new="3c4d"), ["git: 1a2b -> 3c4d"]),
        (events.GitMoved(old="", new="3c4d"), ["git: at 3c4d"]),
        (events.GitMoved(old="1a2b", new=""), ["git: 1a2b -> a branch without a commit"]),
        (forward("listening"), ["localhost:8000 -> pod port 80"]),
        (forward("listening", detail="the first free one of 8000-8010"), [FREE]),
        (
            forward("failed", detail="taken", hint="end it", code="DL0370"),
            ["warning[DL0370]: localhost:8000 -> pod port 80: taken", "hint: end it"],
        ),
        (forward("listening", kind="reverse"), ["pod port 80 -> localhost:8000"]),
        (forward("already there"), ["localhost:8000 is the app's own port: nothing to forward"]),
        (forward("removed"), ["no longer forwarded: localhost:8000 -> pod port 80"]),
        (events.Stopping(reason="asked to"), ["stopping: asked to"]),
    ],
)
def test_words(event: events.Event, texts: list[str]) -> None:
    assert say(event) == texts


def test_output_is_passed_on_as_it_came_with_what_was_lost() -> None:
    subject = narrator.Narrator()
    lines = subject.tell(events.Output(service="web", source="pip", lines=("\x1b[31ma", "b"), dropped=3))
    assert [line.text for line in lines] == ["… 3 lines lost: printed faster than shown", "\x1b[31ma", "b"]
    assert lines[0].tone is Tone.DIM
    assert {line.source for line in lines[1:]} == {"pip"}


@pytest.mark.parametrize(
    ("ms", "told"),
    [(0, "0 ms"), (0.4, "0.4 ms"), (4.2, "4 ms"), (999.4, "999 ms"), (1210, "1.2 s"), (12_000, "12 s"),
     (59_600, "1 min"), (125_000, "2 min 5 s"), (7_260_000, "2 h 1 min")],
)  # fmt: skip
def test_durations(ms: float, told: str) -> None:
    assert narrator.ms_told(ms) == told


@pytest.mark.parametrize(
    ("size", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_960, "10 kB"), (999_600, "1.0 MB"), (2_400_000_000, "2.4 GB"),
     (5 * 10**12, "5000 GB")],
)  # fmt: skip
def test_sizes(size: int, told: str) -> None:
    assert narrator.bytes_told(size) == told
