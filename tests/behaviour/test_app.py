"""The app under supervision: restarted by changes, fixed after a crash, and ended with whoever started it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests.behaviour import apps, world
from tests.behaviour.conftest import Start


def config(out: Path, more: str = "") -> str:
    return world.config(
        "from: ./web, to: /app",
        extra=f'    command: ["{sys.executable}", app.py, "{out}"]\n    reload: {{mode: supervise, grace: 2s}}\n{more}',
    )


def started(out: Path, version: str) -> tuple[str, int, int]:
    """Wait until the last start is of a version, and return it."""
    world.until(lambda: [row for row in apps.starts(out)[-1:] if row[0] == version], f"the start of {version}")
    return apps.starts(out)[-1]


def test_a_change_restarts_the_app_with_its_whole_group(start: Start, place: Path) -> None:
    out = place / "out"
    subject = start(config(out), {"web/app.py": apps.version("1")})
    _, first, child = started(out, "1")
    subject.write("web/app.py", apps.version("2"))
    started(out, "2")
    world.until(lambda: not apps.runs(first) and not apps.runs(child), "the old group's end")


def test_an_app_that_crashes_is_started_by_the_fix_that_arrives(start: Start, place: Path) -> None:
    out = place / "out"
    subject = start(config(out), {"web/app.py": apps.version("1")})
    _, first, _ = started(out, "1")
    subject.write("web/app.py", apps.version("crash"))
    world.until(lambda: not apps.runs(first), "the old one's end")
    world.until(lambda: any("broken on purpose" in str(line) for line in subject.events("output")), "its last words")
    subject.write("web/app.py", apps.version("3"))
    started(out, "3")


def test_an_agent_that_is_killed_leaves_no_second_app_behind(start: Start, place: Path) -> None:
    out = place / "out"
    subject = start(config(out), {"web/app.py": apps.version("1")})
    _, first, child = started(out, "1")
    assert subject.signal_agent(signal.SIGKILL)
    world.until(lambda: len(apps.starts(out)) > 1, "the next agent's app")
    world.until(lambda: not apps.runs(first) and not apps.runs(child), "the stale group's end")
    assert apps.runs(apps.starts(out)[-1][1])


def test_a_laptop_that_is_killed_takes_agent_and_app_with_it(start: Start, place: Path) -> None:
    out = place / "out"
    subject = start(config(out), {"web/app.py": apps.version("1")})
    _, pid, child = started(out, "1")
    agents = subject.agent_pids()
    assert agents
    subject.kill_laptop()
    world.until(lambda: not any(map(apps.runs, [*agents, pid, child])), "the end of agent and app")
    # And the next one finds everything in order.
    subject.start()
    assert subject.settle() == "in sync"
    world.until(lambda: len(apps.starts(out)) > 1, "the app again")


def test_hooks_run_before_the_reload_and_see_the_new_files(start: Start, place: Path) -> None:
    out, log = place / "out", place / "log"
    hook = f"cat app.py | grep ^VERSION >> {log}"
    more = f'    on_change:\n      - {{paths: [app.py], run: {{shell: "{hook}"}}, in: pod, name: note}}\n'
    subject = start(config(out, more), {"web/app.py": apps.version("1"), "web/other.txt": "1"})
    started(out, "1")
    ran = log.read_text() if log.exists() else ""
    subject.write("web/app.py", apps.version("2"))
    started(out, "2")
    assert log.read_text() == ran + 'VERSION = "2"\n'
    subject.write("web/other.txt", "2")
    world.until(lambda: len(apps.starts(out)) > 2, "a reload without a hook")
    assert log.read_text() == ran + 'VERSION = "2"\n'
    kinds = [line["event"] for line in subject.lines if line["event"] in {"command_started", "command_done"}]
    assert kinds[-2:] == ["command_started", "command_done"]


def test_a_hook_that_fails_is_shown_and_the_app_is_reloaded_all_the_same(start: Start, place: Path) -> None:
    out = place / "out"
    more = '    on_change:\n      - {paths: [app.py], run: {shell: "echo oh no; exit 3"}, in: pod, name: broken}\n'
    subject = start(config(out, more), {"web/app.py": apps.version("1")})
    started(out, "1")
    subject.write("web/app.py", apps.version("2"))
    started(out, "2")
    done = world.until(lambda: subject.events("command_done"), "the hook's end")
    assert not done[-1]["ok"]
    assert any("oh no" in str(line) for line in subject.events("output"))
    world.until(lambda: len(subject.events("app")) > 1, "the reload")
    # The end of the hook says that it failed, and nothing else says it again.
    assert not any("failed" in str(line) for line in subject.events("output"))
