"""Begin and end always pair up, and `complete` is only said of what is in sync."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.sync import events
from devloop.ui import markers

COMPLETE = "devloop: sync complete in 5 ms"


def started(service: str = "web", files: int = 3, deletes: int = 0, time: float = 0.0) -> events.SyncStarted:
    return events.SyncStarted(service=service, batch=1, files=files, deletes=deletes, total_bytes=1, time=time)


def complete(service: str = "web", files: int = 3, ms: float = 5.0, time: float = 0.0) -> events.SyncComplete:
    return events.SyncComplete(service=service, files=files, deletes=0, total_bytes=1, ms=ms, time=time)


def failed(service: str = "web", held: int = 0, problems: int = 0) -> events.SyncFailed:
    return events.SyncFailed(service=service, message="", held=held, problems=problems)


def project(*services: str) -> events.ProjectStarted:
    return events.ProjectStarted(project="p", folder="/p", services=services, pid=1)


def link(service: str = "web", *, up: bool) -> events.LinkChanged:
    return events.LinkChanged(service=service, target="pod", up=up, detail="" if up else "refused")


def play(*some: events.Event) -> list[str]:
    subject = markers.Markers()
    return [line for event in some for line in subject.take(event)]


@pytest.mark.parametrize(
    ("what", "some", "lines"),
    [
        ("a save", [started(files=1), complete()], ["devloop: sync started (1 file)", COMPLETE]),
        ("deletions count", [started(files=2, deletes=3)], ["devloop: sync started (5 files)"]),
        ("several batches", [started(), started(), complete()], ["devloop: sync started (3 files)", COMPLETE]),
        (
            "several services",
            [started("web"), started("api"), complete("web"), complete("api")],
            ["devloop: sync started (3 files)", COMPLETE],
        ),
        (
            "a service that has not settled since the start is waited for",
            [project("web", "api"), started("web"), complete("web"), started("api"), complete("api")],
            ["devloop: sync started (3 files)", COMPLETE],
        ),
        (
            "unless its link is down",
            [project("web", "api"), link("api", up=False), started("web"), complete("web")],
            ["devloop: sync started (3 files)", markers.FAILED],
        ),
        ("nothing to do at the start", [project("web"), complete(files=0), events.Ready(ms=1)],
         ["devloop: sync started (0 files)", COMPLETE, markers.READY]),
        ("held deletions", [started(), failed(held=120)], ["devloop: sync started (3 files)", markers.FAILED]),
        ("failed without a batch", [failed(problems=1)], ["devloop: sync started (0 files)", markers.FAILED]),
        (
            "one service fails, another's save is not complete",
            [started("web"), failed("web", held=1), started("api"), complete("api")],
            ["devloop: sync started (3 files)", markers.FAILED] * 2,
        ),
        (
            "approved",
            [started(), failed(held=1), started(files=0, deletes=1), complete()],
            ["devloop: sync started (3 files)", markers.FAILED, "devloop: sync started (1 file)", COMPLETE],
        ),
        (
            "better without a batch",
            [started(), failed(problems=1), complete(files=0)],
            ["devloop: sync started (3 files)", markers.FAILED, "devloop: sync started (0 files)", COMPLETE],
        ),
        ("in sync already", [started(), complete(), complete(files=0)], ["devloop: sync started (3 files)", COMPLETE]),
        ("the link is lost", [started(), link(up=False)], ["devloop: sync started (3 files)", markers.FAILED]),
        (
            "the link is lost and tried again and again",
            [started(), link(up=False), link(up=False), link(up=True), started(files=1), complete()],
            ["devloop: sync started (3 files)", markers.FAILED, "devloop: sync started (1 file)", COMPLETE],
        ),
        ("the link is lost while nothing moves", [started(), complete(), link(up=False)],
         ["devloop: sync started (3 files)", COMPLETE]),
        (
            "the folder is gone",
            [started(), events.Stopped(service="web", sync="a -> b", reason="unmounted")],
            ["devloop: sync started (3 files)", markers.FAILED],
        ),
        ("paused", [started(), events.Paused(paused=True)], ["devloop: sync started (3 files)", markers.FAILED]),
        ("paused at rest", [started(), complete(), events.Paused(paused=True)],
         ["devloop: sync started (3 files)", COMPLETE]),
        (
            "the build fails",
            [events.CommandDone(service="web", name="build", ok=False, outcome="exit 1", ms=1)],
            ["devloop: sync started (0 files)", markers.FAILED],
        ),
        (
            "a hook fails",
            [started(), events.CommandDone(service="web", name="pip", ok=False, outcome="exit 1", ms=1), complete()],
            ["devloop: sync started (3 files)", COMPLETE],
        ),
        ("the end comes in the middle", [project("web", "api"), started(), events.Stopping()],
         ["devloop: sync started (3 files)", markers.FAILED]),
        ("the end comes at rest", [started(), complete(), events.Stopping()],
         ["devloop: sync started (3 files)", COMPLETE]),
        ("problems that are no failure", [started(), events.ProblemsChanged(service="web", problems=(), count=1),
         complete()], ["devloop: sync started (3 files)", COMPLETE]),
    ],
)  # fmt: skip
def test_a_play(what: str, some: list[events.Event], lines: list[str]) -> None:
    assert play(*some) == lines, what


def test_the_time_of_several_services_is_from_the_first_begin_to_the_last_end() -> None:
    some = [started("web", time=10.0), complete("web", ms=900, time=10.9)]
    assert play(*some)[-1] == "devloop: sync complete in 900 ms"
    some = [
        started("web", time=10.0),
        started("api", time=10.2),
        complete("web", time=10.5),
        complete("api", time=11.0),
    ]
    assert play(*some)[-1] == "devloop: sync complete in 1000 ms"


def test_a_reason_is_known_for_every_service_that_is_not_in_sync() -> None:
    subject = markers.Markers()
    for event in (started("web"), failed("web", held=120), link("api", up=False), link("api", up=False)):
        subject.take(event)
    assert subject.reasons == {
        "web": "120 deletions wait for approval: press a, or run `devloop approve`",
        "api": "no link: refused",
    }
    subject.take(complete("web"))
    assert list(subject.reasons) == ["api"]


SERVICES = st.sampled_from(["web", "api"])
EVENTS = st.one_of(
    st.just(project("web", "api")),
    SERVICES.map(started),
    SERVICES.map(complete),
    st.builds(complete, SERVICES, st.just(0)),
    st.builds(failed, SERVICES, st.integers(0, 2)),
    st.builds(link, SERVICES, up=st.booleans()),
    st.builds(events.Paused, paused=st.booleans()),
    SERVICES.map(lambda name: events.Stopped(service=name, sync="a -> b", reason="gone")),
    SERVICES.map(lambda name: events.CommandDone(service=name, name="build", ok=False, outcome="exit 1", ms=1)),
    st.just(events.Ready(ms=1)),
)


@given(st.lists(EVENTS))
def test_begin_and_end_pair_up_and_nothing_stays_open(some: list[events.Event]) -> None:
    lines = [line for line in play(*some, events.Stopping()) if line != markers.READY]
    kinds = [re.sub(r"\(.*|in .*", "", line).strip() for line in lines]
    assert kinds[::2] == ["devloop: sync started"] * (len(kinds) // 2)
    assert set(kinds[1::2]) <= {"devloop: sync complete", "devloop: sync failed"}
    assert len(kinds) % 2 == 0


@given(st.lists(EVENTS))
def test_complete_is_only_said_when_every_services_last_word_was_good(some: list[events.Event]) -> None:
    subject = markers.Markers()
    last: dict[str, bool] = {}
    for event in some:
        lines = subject.take(event)
        match event:
            case events.SyncComplete():
                last[event.service] = True
            case events.SyncFailed() | events.Stopped() | events.CommandDone() | events.SyncStarted():
                last[event.service] = False
            case events.LinkChanged(up=False):
                last[event.service] = False
        if any(line.startswith("devloop: sync complete") for line in lines):
            assert all(last.values())


def test_a_pod_that_is_gone_is_no_failure() -> None:
    gone = events.LinkChanged(service="web", target="pod", up=False, gone=True)
    subject = markers.Markers()
    for event in (started(), complete(), gone):
        subject.take(event)
    assert not subject.reasons
