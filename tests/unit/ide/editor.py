"""What the tests of editors' files share: a project, the command line, a terminal, and VS Code's way of reading it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devloop.cli import main, options
from devloop.ide import jsonc

REPO = Path(__file__).resolve().parents[3]
NODE = shutil.which("node")

# What VS Code's WatchingProblemCollector does with every line, as far as it matters here: begin, end, else the
# patterns, each a JavaScript RegExp without flags, and the first matcher that fits wins.
_COLLECTOR = r"""
const { matchers, lines } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const watching = matchers.find((each) => each.background);
const begins = new RegExp(watching.background.beginsPattern.regexp);
const ends = new RegExp(watching.background.endsPattern.regexp);
let busy = watching.background.activeOnStart;
const seen = busy ? [["busy", ""]] : [];
for (const line of lines) {
  if (begins.test(line)) { if (!busy) { busy = true; seen.push(["busy", line]); continue; } }
  if (ends.test(line)) { if (busy) { busy = false; seen.push(["idle", line]); continue; } }
  for (const matcher of matchers) {
    const pattern = matcher.pattern;
    const found = new RegExp(pattern.regexp).exec(line);
    if (!found) continue;
    const part = (name) => (pattern[name] === undefined ? null : found[pattern[name]] ?? null);
    const severity = part("severity") ?? matcher.severity ?? "error";
    seen.push(["problem", part("file"), part("line"), part("column"), severity, part("code"), part("message")]);
    break;
  }
}
process.stdout.write(JSON.stringify(seen));
"""


def devloop(*arguments: str) -> int:
    """Run a command line in this process; the caller reads what it said by capsys."""
    return main.run(arguments, options.Chosen())


def value_of(path: Path) -> Any:
    node = jsonc.parse(path.read_text(), path.name)
    assert node is not None
    return node.value


def entry(path: Path, member: str, name: str) -> dict[str, Any]:
    """Return the entry of a list that has this label or name."""
    found = [each for each in value_of(path)[member] if name in (each.get("label"), each.get("name"))]
    assert len(found) == 1, [each.get("label", each.get("name")) for each in value_of(path)[member]]
    made: dict[str, Any] = found[0]
    return made


def collected(matchers: list[dict[str, Any]], lines: list[str]) -> list[list[Any]]:
    """Return what VS Code would make of these lines."""
    if NODE is None:
        pytest.skip("node is not on the PATH: the patterns were not run in JavaScript's dialect")
    given = json.dumps({"matchers": matchers, "lines": lines})
    done = subprocess.run([NODE, "-e", _COLLECTOR], input=given, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    seen: list[list[Any]] = json.loads(done.stdout)
    return seen


class Terminal:
    """A command on a terminal, as a task of VS Code runs it.

    Args:
        process: The command.
        fd: The terminal's other end.
    """

    def __init__(self, process: subprocess.Popen[bytes], fd: int) -> None:
        self.process = process
        self._fd = fd
        self.raw = b""

    def until(self, enough: Callable[[list[str]], bool], *, timeout_s: float = 60.0) -> list[str]:
        """Read until the lines are enough, or the command has ended."""
        deadline_s = time.monotonic() + timeout_s
        while not enough(self.lines()):
            assert time.monotonic() < deadline_s, self.raw.decode(errors="replace")
            if not select.select([self._fd], [], [], 0.5)[0]:
                continue
            try:
                data = os.read(self._fd, 65536)
            except OSError:  # Linux says EIO when nobody holds the terminal any more.
                data = b""
            if not data:
                break
            self.raw += data
        return self.lines()

    def lines(self) -> list[str]:
        """Return the whole lines as VS Code's terminal hands them on: without colours."""
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw.decode(errors="replace"))
        return text.replace("\r\n", "\n").split("\n")[:-1]


@contextlib.contextmanager
def run_task(task: dict[str, Any], workspace: Path) -> Iterator[Terminal]:
    """Run a task's very command on a terminal of 80 columns, with this repository's devloop on the PATH."""
    programs = workspace.parent / "programs"
    programs.mkdir(exist_ok=True)
    script = programs / "devloop"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={REPO} exec {sys.executable} -P -m devloop.cli.main "$@"\n')
    script.chmod(0o755)
    environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "TERM": "xterm-256color"}
    assert task["type"] == "process"
    master, slave = pty.openpty()
    cwd = task["options"]["cwd"].replace("${workspaceFolder}", str(workspace))
    words = [str(script) if task["command"] == "devloop" else task["command"], *task["args"]]
    process = subprocess.Popen(
        words, cwd=cwd, env=environ, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        os.set_blocking(master, False)
        _drain_until_end(process, master)
        os.close(master)


def _drain_until_end(process: subprocess.Popen[bytes], fd: int) -> None:
    """Read on while the process ends, so that a full terminal does not keep it."""
    deadline_s = time.monotonic() + 30
    while process.poll() is None:
        with contextlib.suppress(OSError):
            if select.select([fd], [], [], 0.1)[0]:
                os.read(fd, 65536)
        if time.monotonic() > deadline_s:
            process.kill()
    process.wait()
