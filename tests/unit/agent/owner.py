"""A program for tests: an agent that owns one app and ends it when its standard input ends.

    python -m tests.unit.agent.owner IDENTITY_FILE COMMAND...

The app's lines go to standard output.
"""

import asyncio
import contextlib
import os
import sys

from agent import app, parent
from devloop.core.appstate import Policy
from devloop.proc import lines


async def show(output: lines.LineQueue) -> None:
    while taken := await output.take():
        for line in taken.lines:
            os.write(1, f"{line.text}\n".encode())


async def main(identity_file: str, *argv: str) -> None:
    output = lines.LineQueue()
    spec = app.AppSpec(argv, "/", None, Policy(grace_s=0.2), identity_file)
    subject = app.App(spec, output=output, on_state=lambda state: None)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(subject.run()), tasks.create_task(show(output))]
        subject.start()
        await parent.parent_gone(0)
        for task in running:
            task.cancel()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        asyncio.run(main(*sys.argv[1:]))
