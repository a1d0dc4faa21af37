"""The agent's half of a session.

Its shell answers `Authenticated` with `AgentHello`, and `LaptopHello` with `Welcome` or a `Bye`. After that the
laptop's batch messages come out of `events` as checked commands (`devloop.protocol.commands`); the shell answers
each `CommitBatch` with `Ack`, and each `Request` with `Part`s, where it has content, and `Done`.
"""

from __future__ import annotations

from typing import ClassVar

from devloop import errors
from devloop.core import paths
from devloop.protocol import answers, inbound, messages, session, state


class AgentSession(session.Session):
    """The agent's half; see the module and `devloop.protocol.session`."""

    role: ClassVar[state.Role] = state.Role.AGENT

    def __init__(self, key: bytes, nonce: bytes, now_s: float) -> None:
        super().__init__(key, nonce, now_s)
        self._roots = 0
        self._assembly = inbound.BatchAssembly(0, 0)

    @property
    def low_water(self) -> int:
        """Every batch up to this one was acked or aborted: what `Ack.low_water` says without the acked batch."""
        return self._assembly.low_water

    def low_water_with(self, batch: int) -> int:
        """Return what `Ack.low_water` is to be in the ack of this batch."""
        return self._assembly.low_water_with(batch)

    def _received(self, message: messages.Message) -> None:
        match message:
            case messages.Nonce():
                pass
            case messages.Proof():
                self._say(self._handshake.proof())
            case messages.Request():
                self._asked(message)
                self._events.append(message)
            case messages.Rules():
                self._check_root(message.root, "Rules.root")
                self._events.append(message)
            case _:
                self._events += self._assembly.feed(message)
                self._follow(message)

    def _follow(self, message: messages.Message) -> None:
        """Open and end the incoming stream of a batch."""
        if isinstance(message, messages.Begin):
            self._link.incoming.open(message.batch)
        elif isinstance(message, messages.Abort):
            self._link.incoming.end(message.batch)

    def _transmit(self, message: messages.Control) -> None:
        match message:
            case messages.Ack():
                parts = answers.split_ack(message)
                self._assembly.acked(message.batch)
                self._link.incoming.settled(message.batch)
                for part in parts:
                    self._queue(part)
                return
            case messages.Need():
                if self._assembly.need(message):
                    for need in answers.split_numbers(message):
                        self._queue(need)
                return
            case messages.Findings():
                message = answers.fit_findings(message)
            case messages.Done():
                self._link.outgoing.require_open(message.request)
                self._queue(message)
                self._link.outgoing.end(message.request)
                return
            case _:
                pass
        self._queue(message)

    def _sent(self, message: messages.Control) -> None:
        super()._sent(message)
        if isinstance(message, messages.AgentHello):
            self._roots = len(message.roots)
            self._assembly = inbound.BatchAssembly(self._roots, message.limits.max_delta_bytes)
        elif isinstance(message, messages.Welcome):
            self._link.outgoing.open(messages.OUTPUT_STREAM)
            self._opened()

    def _asked(self, request: messages.Request) -> None:
        is_number = messages.FIRST_NUMBER <= request.request < messages.FIRST_STREAM
        if not is_number or request.request in self._link.outgoing:
            raise errors.RemoteProtocolError(f"the number {request.request} is taken", where="Request.request")
        if not self._link.outgoing.can_open():
            raise errors.RemoteProtocolError("too many requests are open", where="Request")
        self._check_root(request.root, "Request.root")
        if request.path or request.ask is messages.Ask.PULL:
            try:
                paths.from_wire(request.path)
            except paths.UnsafePathError as error:
                raise errors.RemoteProtocolError(str(error), where="Request.path") from error
        self._link.outgoing.open(request.request)

    def _check_root(self, root: int, where: str) -> None:
        if root >= self._roots:
            raise errors.RemoteProtocolError(f"root {root} of {self._roots}", where=where)
