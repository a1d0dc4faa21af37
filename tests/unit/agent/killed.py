"""What is killed in the kill tests: run as `python -m tests.unit.agent.killed …` by them, in a process of its own.

`count BASE SCENARIO` makes the roots BASE/0, BASE/1, …, each with the old tree, and applies the new one in a child that
dies at its 0th, 1st, … change of the disk, until one lives to the end. `torn` does the same, but lets a dying write
get half of its bytes out. `again` lets the first run die half way, and its recovery at every point. `loop BASE` applies
versions one after the other until it is killed.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devloop.core import ops
from tests.unit.agent import target
from tests.unit.agent.target import D, L, Target, Things, X

SCENARIOS: dict[str, tuple[Things, Things]] = {
    "first": ({}, {"a": "new a", "b/c": X("new c"), "d": L("a")}),
    "edit": ({"a": "old a", "b": "old b"}, {"a": "new a", "b": "old b"}),
    "swap": (
        {
            "a": "old a",
            "b/x": "old x",
            "b/y": "old y",
            "l": L("a"),
            "gone/deep": "old deep",
            "same": "same",
            "m": "mode",
        },
        {"a/n": "new n", "b": "new b", "l": "new l", "k": L("same"), "same": "same", "m": X("mode"), "e": "", "f": D},
    ),
}

CALLS = (
    "open",
    "write",
    "pwrite",
    "rename",
    "unlink",
    "rmdir",
    "mkdir",
    "symlink",
    "utime",
    "fchmod",
    "ftruncate",
    "link",
)
DIED = 9
FILES = 20


def die_at(count: int, *, torn: bool) -> None:
    """Make the process end at its `count`-th call that changes the disk."""
    calls = itertools.count()

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if (name != "open" or args[1] & os.O_CREAT) and next(calls) == count:
                if torn and name in {"write", "pwrite"}:
                    fd, data, *at = args
                    real(fd, bytes(data)[: len(data) // 2], *at)
                os._exit(DIED)
            return real(*args, **kwargs)

        return call

    for name in CALLS:
        setattr(os, name, wrap(name, getattr(os, name)))


def child(work: Callable[[], None]) -> bool:
    """Do the work in a child, and say whether it lived to the end."""
    pid = os.fork()
    if not pid:
        work()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status not in {0, DIED}:
        raise SystemExit(f"the child ended with {status}")
    return status == 0


def prepare(folder: Path, old: Things) -> None:
    with target.opened(folder) as box:
        box.become(old)


def apply(folder: Path, new: Things, count: int, *, torn: bool) -> None:
    box = Target(target.spec_in(folder))
    batch = target.steps_to(box.store.tree, new)
    die_at(count, torn=torn)
    box.applier.begin(7, batch)
    for index, op in enumerate(batch):
        if op.body_bytes and op.path == "m":
            assert box.applier.copy(7, index, 0, "m")
        elif op.body_bytes:
            box.applier.body(7, index, target.content(new[op.path]))
    box.applier.commit(7)
    box.applier.tidy()


def recover(folder: Path, count: int) -> None:
    die_at(count, torn=False)
    Target(target.spec_in(folder)).store.verify()


def count_calls(base: Path, scenario: str, *, torn: bool) -> None:
    old, new = SCENARIOS[scenario]
    for count in itertools.count():
        folder = base / f"{count}"
        prepare(folder, old)
        if child(functools.partial(apply, folder, new, count, torn=torn)):
            return


def count_recovery(base: Path, scenario: str, first: int) -> None:
    old, new = SCENARIOS[scenario]
    for count in itertools.count():
        folder = base / f"{count}"
        prepare(folder, old)
        child(functools.partial(apply, folder, new, first, torn=False))
        if child(functools.partial(recover, folder, count)):
            return


def version(number: int, index: int) -> str:
    return f"version {number} of file {index}\n" * (50 + number % 7)


def loop(base: Path) -> None:
    with target.opened(base) as box:
        for number in itertools.count(int((box.data / "f0").read_text().split()[1]) + 1 if box.disk() else 0):
            things = {f"f{index}": version(number, index) for index in range(FILES)}
            things[f"only{number}/x"] = version(number, FILES)
            box.become(things)
            if number % 10 == 0:
                box.batch(ops.put(0, "f0", target.entry_of(things["f0"])), bodies=things)
            print(number, flush=True)  # noqa: T201


if __name__ == "__main__":
    what, where, *rest = sys.argv[1:]
    if what == "loop":
        loop(Path(where))
    elif what == "again":
        count_recovery(Path(where), rest[0], int(rest[1]))
    else:
        count_calls(Path(where), rest[0], torn=what == "torn")
