"""An hour of a developer's life in twenty seconds, as events: for looking at views, by eye and by test.

`python -m tests.fakes.scenario live|text|json` plays it on this terminal.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator

import msgspec

from devloop.sync import events

POD = "shop-web-6d4cf56db6-x7x2p"


def play() -> Iterator[tuple[float, events.Event]]:
    """Yield events, each with the seconds to wait before it."""
    yield from _start()
    yield from _save("web", "app.py", 4.2)
    yield 0.3, _app("stopping", 4242, 1)
    yield 0.1, _app("running", 4250, 2)
    yield from _hooks()
    yield from _trouble()
    yield from _git()
    yield from _hostile()
    yield from _save("api", "api/routes/orders.py", 12.0)
    yield 1.0, events.SyncStarted(service="db", batch=60, files=1, deletes=0, total_bytes=2_000_000_000)


def _start() -> Iterator[tuple[float, events.Event]]:
    services = ("web", "api", "db")
    yield 0.0, events.ProjectStarted(project="shop", folder="/home/mia/src/shop", services=services, pid=4100)
    for name in services:
        yield 0.2, events.LinkChanged(service=name, target=POD if name == "web" else f"{name}-0", up=True)
        yield 0.1, events.SyncStarted(service=name, batch=16, files=312, deletes=0, total_bytes=4_100_000)
    yield 0.5, _complete("web", 312, 812.0, total_bytes=4_100_000, first=True, total_files=312)
    yield 0.1, _app("running", 4242, 1)
    yield 0.1, _output("web", "app", " * Serving Flask app 'shop'", " * Running on http://127.0.0.1:8000")
    yield 0.2, _complete("api", 312, 1210.0, total_bytes=4_100_000, first=True, total_files=1024)
    yield 0.1, _complete("db", 312, 1310.0, total_bytes=4_100_000, first=True, total_files=12)
    yield 0.1, events.Ready(ms=1310.0)


def _hooks() -> Iterator[tuple[float, events.Event]]:
    yield (
        0.5,
        events.SyncStarted(service="web", batch=18, files=1, deletes=0, total_bytes=90, paths=("requirements.txt",)),
    )
    yield 0.1, events.CommandStarted(service="web", name="pip")
    yield 0.3, _output("web", "pip", "Collecting flask==3.1", "  Downloading flask-3.1.0-py3-none-any.whl (102 kB)")
    yield 0.4, events.CommandDone(service="web", name="pip", ok=False, outcome="exit 1", ms=700)
    yield 0.0, _complete("web", 1, 720.0)
    yield 0.5, events.CommandStarted(service="api", name="build")
    yield 0.2, _output("api", "build", "src/main.c:12:3: error: expected ';' before 'return'")
    yield 0.1, events.CommandDone(service="api", name="build", ok=False, outcome="exit 2", ms=300)


def _trouble() -> Iterator[tuple[float, events.Event]]:
    rows = (
        events.ProblemRow("run/app.sock", "special", "a socket is not synced", "laptop"),
        events.ProblemRow("caf\udce9.txt", "not-writable", "cannot be written in the target: Permission denied", "pod"),
    )
    yield 0.5, events.SyncStarted(service="api", batch=19, files=1, deletes=0, total_bytes=9, paths=("caf\udce9.txt",))
    yield 0.1, events.ProblemsChanged(service="api", problems=rows, count=2)
    yield 0.0, events.SyncFailed(service="api", message="", problems=1, skipped=1, ms=9.0)
    yield 0.5, events.Held(service="web", count=120, managed=312, paths=("static/a.png", "static/b.png"))
    yield 0.0, events.SyncFailed(service="web", message="", held=120)
    yield 0.5, events.Drifted(service="web", target=POD, count=1, paths=("config.py",), extra=3)
    yield 0.5, events.LinkChanged(service="db", target="db-0", up=False, detail="connection refused", retry_s=3.0)
    yield (
        0.5,
        events.Notice(
            level=events.Level.ERROR,
            code="DL0312",
            message="the inotify limit is reached: 8,192 watches",
            hint="sudo sysctl fs.inotify.max_user_watches=524288",
        ),
    )
    yield 3.0, events.LinkChanged(service="db", target="db-0", up=True)
    yield 0.1, _complete("db", 0, 3.0)
    yield 0.3, events.Held(service="web", count=0)
    yield 0.0, events.SyncStarted(service="web", batch=20, files=0, deletes=120, total_bytes=0)
    yield 0.2, _complete("web", 0, 45.0, deletes=120, total_files=192)


def _git() -> Iterator[tuple[float, events.Event]]:
    yield 0.5, events.GitMoved(old="1a2b3c4", new="5d6e7f8")
    yield 0.1, events.SyncStarted(service="api", batch=40, files=900, deletes=100, total_bytes=12_400_000, git=True)
    yield 0.4, events.ProblemsChanged(service="api", problems=(), count=0)
    yield 0.0, _complete("api", 900, 380.0, deletes=100, total_bytes=12_400_000, total_files=1824)
    yield 0.3, events.Pulled(service="api", path="migrations/0042_auto.py")
    yield (
        0.1,
        events.Pulled(service="api", path="migrations/0041_x.py", conflict=".devloop/conflicts/migrations/0041_x.py"),
    )


def _hostile() -> Iterator[tuple[float, events.Event]]:
    yield (
        0.3,
        _output(
            "web",
            "app",
            "\x1b[2J\x1b[H\x1b]0;owned\x07cleared?",
            "\x1b[31mERROR\x1b[0m in \x1b[1mhandler\x1b[0m: boom",
            "devloop: sync complete in 1 ms",
            "progress 10 %\rprogress 100 %",
            "a very long line " * 12,
            "caf\ufffd, 漢字, and a tab:\there",
        ),
    )
    yield 0.2, _app("crashed", 0, 3, "exit 1")


def _save(service: str, path: str, ms: float) -> Iterator[tuple[float, events.Event]]:
    yield 0.5, events.SyncStarted(service=service, batch=17, files=1, deletes=0, total_bytes=900, paths=(path,))
    yield 0.05, _complete(service, 1, ms, total_bytes=900)


def _complete(
    service: str,
    files: int,
    ms: float,
    *,
    deletes: int = 0,
    total_bytes: int = 0,
    first: bool = False,
    total_files: int = 0,
) -> events.SyncComplete:
    return events.SyncComplete(
        service=service,
        files=files,
        deletes=deletes,
        total_bytes=total_bytes,
        ms=ms,
        first=first,
        total_files=total_files,
    )


def _app(phase: str, pid: int, starts: int, detail: str = "") -> events.AppChanged:
    return events.AppChanged(service="web", phase=phase, pid=pid, starts=starts, detail=detail)


def _output(service: str, source: str, *lines: str) -> events.Output:
    return events.Output(service=service, source=source, lines=lines)


async def main() -> None:
    """Play it on this terminal."""
    from devloop.ui import jsonlines, live, text, view

    parser = argparse.ArgumentParser()
    parser.add_argument("view", choices=["live", "text", "json"])
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--stay", action="store_true")
    args = parser.parse_args()
    quit_pressed = asyncio.Event()

    def on_key(name: str) -> None:
        if name == "quit":
            quit_pressed.set()

    shown: view.View
    if args.view == "live":
        shown = live.open_on_terminal(on_key, color=True)
    elif args.view == "text":
        shown = text.TextView(sys.stdout, sys.stderr)
    else:
        shown = jsonlines.JsonView(sys.stdout.buffer)
    try:
        for wait_s, event in play():
            shown.show(msgspec.structs.replace(event, time=time.time()))
            if await _pause(quit_pressed, wait_s / args.speed):
                return
        if args.stay:
            await quit_pressed.wait()
    finally:
        shown.close()


async def _pause(quit_pressed: asyncio.Event, seconds: float) -> bool:
    """Wait, and say whether to quit."""
    try:
        async with asyncio.timeout(seconds):
            await quit_pressed.wait()
    except TimeoutError:
        return False
    return True


if __name__ == "__main__":
    asyncio.run(main())
