"""Questions to an agent and their answers, over the link that is open now.

An answer comes in parts, as bulk: each part that is taken gives its credit back to the agent. A link that ends, an
agent that refuses and one that does not answer in time end the question with an error; nobody waits for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from devloop import errors
from devloop.core import paths
from devloop.protocol import messages
from devloop.wire import driver

# How long an agent may take to answer a request: a manifest of 100,000 files is hashed in a few seconds.
REQUEST_TIMEOUT_S: Final = 120.0


class Answer:
    """The parts of an answer as they come in."""

    def __init__(self) -> None:
        self.parts: asyncio.Queue[messages.Part | None] = asyncio.Queue()
        self.error = ""
        self.cut = False


class Requests:
    """What is being asked of one agent.

    Args:
        name: The agent's, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._link: driver.Driver | None = None
        self._answers: dict[int, Answer] = {}
        self._next_request = messages.FIRST_NUMBER

    def open(self, link: driver.Driver) -> None:
        """Let questions be asked over this link."""
        self._link = link

    def close(self) -> None:
        """Take up that the link ended, and with it all that was being asked."""
        self._link = None
        for answer in self._answers.values():
            answer.error, answer.cut = f"the link to {self._name} ended", True
            answer.parts.put_nowait(None)
        self._answers.clear()

    def take_part(self, part: messages.Part) -> bool:
        """Take up a part of an answer; say whether anybody waits for it, and will give its credit back."""
        answer = self._answers.get(part.stream)
        if answer is not None:
            answer.parts.put_nowait(part)
        return answer is not None

    def take_end(self, done: messages.Done) -> None:
        """Take up the end of an answer."""
        answer = self._answers.pop(done.request, None)
        if answer is not None:
            answer.error = done.error
            answer.parts.put_nowait(None)

    async def request(
        self, ask: messages.Ask, *, root: int = 0, path: str = "", digest: bytes = b""
    ) -> AsyncGenerator[messages.Part, None]:
        """Ask the agent, and yield the parts of its answer. Close it (`contextlib.aclosing`) where you leave early.

        Args:
            ask: What.
            root: Of which root.
            path: Of which path.
            digest: The content that is expected.

        Raises:
            LinkError: There is no link, or it ended, or the answer took too long.
            AgentError: The agent refused.
        """
        link = self._link
        if link is None:
            raise errors.LinkError(f"{self._name} is not connected", hint="see `devloop status`")
        number = self._next_request
        self._next_request += 1
        answer = self._answers[number] = Answer()
        until_s = asyncio.get_running_loop().time() + REQUEST_TIMEOUT_S
        link.send(messages.Request(number, ask, root, paths.to_wire(path), digest))
        try:
            while (part := await self._next_part(answer, until_s)) is not None:
                link.consumed(part.stream, messages.cost(part))
                yield part
        finally:
            self._answers.pop(number, None)
            while not answer.parts.empty():
                unread = answer.parts.get_nowait()
                if unread is not None:
                    link.consumed(unread.stream, messages.cost(unread))
        if answer.error:
            raise errors.LinkError(answer.error) if answer.cut else errors.AgentError(answer.error, code="DL0612")

    async def _next_part(self, answer: Answer, until_s: float) -> messages.Part | None:
        # The deadline is not kept around a `yield`: it would cancel whoever is being given the part.
        try:
            async with asyncio.timeout_at(until_s):
                return await answer.parts.get()
        except TimeoutError as error:
            raise errors.LinkError(f"{self._name} did not answer in {REQUEST_TIMEOUT_S:.0f} s") from error
