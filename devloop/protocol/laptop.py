"""The laptop's half of a session.

Its shell answers `AgentHello` with `LaptopHello` or a `Bye`, then sends batches and requests. A batch's stream lives
from `Begin` to the agent's `Ack` or this side's `Abort`: after `Commit` only what the agent `Need`s may follow.
The stream of an answer lives from `Request` to `Done`.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from devloop import errors
from devloop.core import entry, paths
from devloop.protocol import answers, inbound, messages, session, state

_MAX_PROBLEMS: Final = 100_000
"""The most problems that one ack may carry, so that an agent cannot fill the laptop's memory."""


class LaptopSession(session.Session):
    """The laptop's half; see the module and `devloop.protocol.session`."""

    role: ClassVar[state.Role] = state.Role.LAPTOP

    def __init__(self, key: bytes, nonce: bytes, now_s: float) -> None:
        super().__init__(key, nonce, now_s)
        self._batches: dict[int, _Batch] = {}
        self._newest = messages.FIRST_NUMBER - 1
        self._requests: set[int] = set()

    def can_begin(self, ops: int) -> bool:
        """Say whether the agent takes a batch of so many ops now; see the bounds in `devloop.protocol.inbound`."""
        announced = sum(batch.ops for batch in self._batches.values())
        return self.can_open() and len(self._batches) < inbound.MAX_BATCHES and announced + ops <= inbound.MAX_OPS

    def _received(self, message: messages.Message) -> None:
        match message:
            case messages.Nonce():
                self._say(self._handshake.proof())
                return
            case messages.Proof():
                return
            case messages.Welcome():
                self._link.incoming.open(messages.OUTPUT_STREAM)
                self._opened()
                # the first round trip is measured while nothing else is under way
                self._link.ping()
                return
            case messages.Problems():
                self._check_rows(message)
                self._batch(message.batch, "Problems").add(message)
                return
            case messages.Ack():
                message = self._acked(message)
            case messages.Need():
                self._needed(message)
            case messages.Done():
                self._answered(message)
            case messages.Findings():
                self._check_findings(message)
            case _:
                pass
        self._events.append(message)

    def _transmit(self, message: messages.Control) -> None:
        match message:
            case messages.Begin():
                if not self._newest < message.batch < messages.FIRST_STREAM:
                    raise errors.LocalProtocolError(f"batch {message.batch} after {self._newest}", where="Begin.batch")
                if not self.can_begin(message.ops):
                    raise errors.LocalProtocolError(f"too much is under way for {message.ops} ops", where="Begin.ops")
                self._link.outgoing.open(message.batch)
                self._newest = message.batch
                self._batches[message.batch] = _Batch(message.ops)
            case messages.Copy():
                self._own(message.batch, message)
            case messages.Cancel():
                self._own(message.batch, message)
                for part in answers.split_numbers(message):
                    self._queue(part)
                return
            case messages.Commit() | messages.Abort():
                self._uncommitted(message.batch, message)
            case messages.Request():
                self._check_request(message)
            case _:
                pass
        self._queue(message)
        if isinstance(message, messages.Commit):
            self._batches[message.batch].committed = True
        elif isinstance(message, messages.Abort):
            del self._batches[message.batch]
            self._link.outgoing.end(message.batch)
        elif isinstance(message, messages.Request):
            self._link.incoming.open(message.request)
            self._requests.add(message.request)

    # ---- batches ---------------------------------------------------------------------------------------------

    def _own(self, number: int, message: messages.Message) -> _Batch:
        batch = self._batches.get(number)
        if batch is None:
            name = type(message).__name__
            raise errors.LocalProtocolError(f"{name} for batch {number}, which is not under way", where=name)
        return batch

    def _uncommitted(self, number: int, message: messages.Message) -> _Batch:
        batch = self._own(number, message)
        if batch.committed:
            name = type(message).__name__
            raise errors.LocalProtocolError(f"{name} for batch {number}, which is committed", where=name)
        return batch

    def _batch(self, number: int, where: str) -> _Batch:
        batch = self._batches.get(number)
        if batch is None:
            raise errors.RemoteProtocolError(f"{where} for batch {number}, which is not under way", where=where)
        return batch

    def _acked(self, ack: messages.Ack) -> messages.Ack:
        """Return the ack with everything that was split off it."""
        self._check_rows(ack)
        if [len(digest) for digest in ack.digests] != [entry.DIGEST_BYTES] * self._roots:
            raise errors.RemoteProtocolError(f"{len(ack.digests)} digests for {self._roots} roots", where="Ack.digests")
        batch = self._batch(ack.batch, "Ack")
        if not batch.committed:
            raise errors.RemoteProtocolError(f"Ack for batch {ack.batch}, which is not committed", where="Ack")
        del self._batches[ack.batch]
        self._link.outgoing.settled(ack.batch)
        return msgspec.structs.replace(
            ack,
            problems=(*batch.problems, *ack.problems),
            overwritten=(*batch.overwritten, *ack.overwritten),
        )

    def _needed(self, need: messages.Need) -> None:
        # an aborted batch may be needed yet, by a message that crossed the abort; the shell passes over it
        if need.batch > self._newest:
            raise errors.RemoteProtocolError(f"Need for batch {need.batch}, which was never begun", where="Need")
        batch = self._batches.get(need.batch)
        if batch is not None:
            batch.need(need)

    # ---- what the agent says of paths ------------------------------------------------------------------------

    @property
    def _roots(self) -> int:
        return len(self._peer_hello.roots) if isinstance(self._peer_hello, messages.AgentHello) else 0

    def _check_rows(self, message: messages.Ack | messages.Problems) -> None:
        name = type(message).__name__
        for row in message.problems:
            self._check_path(row.root, row.path, f"{name}.problems")
        for root, path in message.overwritten:
            self._check_path(root, path, f"{name}.overwritten")

    def _check_findings(self, findings: messages.Findings) -> None:
        for each in findings.drift:
            self._check_path(findings.root, each.path, "Findings.drift")
        for path in findings.extra:
            self._check_path(findings.root, path, "Findings.extra")
        for path, what in findings.pulls:
            self._check_path(findings.root, path, "Findings.pulls")
            if what.kind is not entry.Kind.FILE or not entry.is_valid(what):
                raise errors.RemoteProtocolError(f"{what} is no file to pull", where="Findings.pulls")
        self._check_root(findings.root, "Findings.root")

    def _check_path(self, root: int, path: bytes, where: str) -> None:
        """Refuse a path that is not safe: what comes from the agent may become one on the laptop."""
        self._check_root(root, where)
        try:
            paths.from_wire(path)
        except paths.UnsafePathError as error:
            raise errors.RemoteProtocolError(str(error), where=where) from error

    def _check_root(self, root: int, where: str) -> None:
        if root >= self._roots:
            raise errors.RemoteProtocolError(f"root {root} of {self._roots}", where=where)

    # ---- requests --------------------------------------------------------------------------------------------

    def _check_request(self, message: messages.Request) -> None:
        number = message.request
        if not messages.FIRST_NUMBER <= number < messages.FIRST_STREAM or number in self._link.incoming:
            raise errors.LocalProtocolError(f"the number {number} is taken", where="Request.request")
        if not self._link.incoming.can_open():
            raise errors.LocalProtocolError("too many requests are open", where="Request")

    def _answered(self, done: messages.Done) -> None:
        if done.request not in self._requests:
            raise errors.RemoteProtocolError(f"Done for {done.request}, which was not asked", where="Done.request")
        self._requests.remove(done.request)
        self._link.incoming.end(done.request)


class _Batch:
    """A batch that is not acked."""

    __slots__ = ("committed", "needed", "ops", "overwritten", "problems")

    def __init__(self, ops: int) -> None:
        self.ops = ops
        self.committed = False
        self.needed: set[int] = set()
        self.problems: list[messages.WireProblem] = []
        self.overwritten: list[tuple[int, bytes]] = []

    def add(self, message: messages.Problems) -> None:
        """Keep what the ack will be completed with.

        Raises:
            RemoteProtocolError: It is too much.
        """
        self.problems += message.problems
        self.overwritten += message.overwritten
        if len(self.problems) + len(self.overwritten) > _MAX_PROBLEMS:
            raise errors.RemoteProtocolError(f"more than {_MAX_PROBLEMS} problems in one ack", where="Problems")

    def need(self, message: messages.Need) -> None:
        """Note which bodies are needed whole.

        Raises:
            RemoteProtocolError: There is no such op, or it is needed again: its whole body is all that there is.
        """
        for op in message.ops:
            if op >= self.ops or op in self.needed:
                raise errors.RemoteProtocolError(f"op {op} of batch {message.batch} is needed", where="Need.ops")
            self.needed.add(op)
