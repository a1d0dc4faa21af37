"""Byte streams between both halves, on a line that does everything a line may do, and what it may not.

The machine opens, answers, writes, ends and resets streams from either side in any order, so that everything crosses
everything. What must hold:

- what one side reads of a stream is what the other wrote, in order, or a beginning of it;
- on a whole line no session ever closes, everything that was not reset arrives, and all credit comes back;
- what a side keeps is within its bounds, and a damaged line closes the side that sees it, by the right error.
"""

from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from devloop import errors
from devloop.protocol import messages, session
from tests.protocol import playbook
from tests.protocol.test_both_halves import DAMAGE, Line

LIMITS = messages.StreamLimits(max_open=16, own_bytes=1 << 16, shared_bytes=1 << 20)
BOUND = 2 * LIMITS.max_open * LIMITS.own_bytes + LIMITS.shared_bytes


class Shell:
    """What one side's shell knows."""

    def __init__(self, half: session.Session) -> None:
        self.half = half
        self.calls: list[int] = []
        self.dialled: list[int] = []
        self.open: list[int] = []
        self.listening: list[int] = []
        self.written: dict[int, bytes] = {}
        self.read: dict[int, bytes] = {}
        self.unconsumed: deque[tuple[int, int]] = deque()
        self.said_eof: set[int] = set()
        self.got_eof: set[int] = set()
        self.gone: set[int] = set()
        self.end: session.Closed | None = None

    def drop(self, number: int) -> None:
        """Forget a stream that was reset or refused."""
        self.gone.add(number)
        for known in (self.calls, self.dialled, self.open):
            if number in known:
                known.remove(number)


class Streams(RuleBasedStateMachine):
    """The machine; each rule is a step of one shell or of the line."""

    def __init__(self) -> None:
        super().__init__()
        pair = playbook.Pair(messages.Limits(streams=LIMITS))
        self.pair = pair
        self.laptop, self.agent = Shell(pair.laptop), Shell(pair.agent)
        self.shells = (self.laptop, self.agent)
        self.to_agent, self.to_laptop = Line(), Line()
        self.now_s = 0.0
        self.whole = True

    @initialize(whole=st.booleans())
    def begin(self, whole: bool) -> None:
        """Begin with an open session, on a line that stays whole or does not: else hardly any would."""
        self.whole = whole
        self.pair.open()

    # ---- what shells do --------------------------------------------------------------------------------------

    @rule()
    def dial(self) -> None:
        """Open a stream from the laptop."""
        half = self.laptop.half
        if not half.closed and half.streams.can_open():
            number = half.streams.next_number
            half.send(messages.Dial(number, "db", 5432))
            self.laptop.dialled.append(number)

    @rule()
    def listen(self) -> None:
        """Have the agent listen."""
        half = self.laptop.half
        if not half.closed and half.next_listener < 60:
            half.send(messages.Listen(half.next_listener, 9003))

    @precondition(lambda self: self.agent.listening)
    @rule(data=st.data())
    def accepted(self, data: st.DataObject) -> None:
        """Open a stream from the agent."""
        half = self.agent.half
        if not half.closed and half.streams.can_open():
            number = half.streams.next_number
            half.send(messages.Accepted(number, data.draw(st.sampled_from(self.agent.listening)), "peer"))
            self.agent.dialled.append(number)

    @precondition(lambda self: self.agent.listening)
    @rule(data=st.data())
    def unlisten(self, data: st.DataObject) -> None:
        """Close a listener, which the agent does not know yet."""
        number = data.draw(st.sampled_from(self.agent.listening))
        if not self.laptop.half.closed and number in self.laptop.half._listeners._open:
            self.laptop.half.send(messages.Unlisten(number))

    @rule(there=st.booleans(), refuse=st.booleans())
    def answer(self, there: bool, refuse: bool) -> None:
        """Answer a call."""
        shell = self.shells[there]
        if shell.calls and not shell.half.closed:
            number = shell.calls.pop(0)
            shell.half.send(messages.Dialled(number, "port" if refuse else ""))
            (shell.gone.add if refuse else shell.open.append)(number)

    @rule(there=st.booleans(), size=st.sampled_from([1, 500, 70_000, 400_000]), data=st.data())
    def write(self, there: bool, size: int, data: st.DataObject) -> None:
        """Write as much as there is credit and room for."""
        shell = self.shells[there]
        able = [number for number in shell.open if number not in shell.said_eof]
        if able and not shell.half.closed:
            self._write(shell, data.draw(st.sampled_from(able)), size)

    def _write(self, shell: Shell, number: int, size: int) -> None:
        while size and (room := shell.half.stream_room(number, size)):
            if not shell.half.can_send(number, room):
                return
            raw = bytes((len(shell.written.get(number, b"")) // 1000 % 251,)) * room
            shell.half.send_bulk(messages.Data(number, raw))
            shell.written[number] = shell.written.get(number, b"") + raw
            size -= room

    @rule(there=st.booleans(), data=st.data())
    def eof(self, there: bool, data: st.DataObject) -> None:
        """End one way."""
        shell = self.shells[there]
        able = [number for number in shell.open if number not in shell.said_eof]
        if able and not shell.half.closed:
            number = data.draw(st.sampled_from(able))
            shell.half.send(messages.Eof(number))
            shell.said_eof.add(number)

    @rule(there=st.booleans(), data=st.data())
    def reset(self, there: bool, data: st.DataObject) -> None:
        """End both ways at once, also of what is still being dialled."""
        shell = self.shells[there]
        able = [*shell.open, *shell.dialled, *shell.calls]
        if able and not shell.half.closed:
            number = data.draw(st.sampled_from(able))
            shell.half.send(messages.Reset(number, "enough"))
            shell.drop(number)

    @rule(there=st.booleans(), count=st.integers(1, 20))
    def consume(self, there: bool, count: int) -> None:
        """Deal with what came, also of streams that are gone."""
        shell = self.shells[there]
        for _ in range(min(count, len(shell.unconsumed))):
            shell.half.consumed(*shell.unconsumed.popleft())

    # ---- the line --------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 30))
    def move(self, count: int) -> None:
        """Move some frames in either direction."""
        for _ in range(count):
            self._load()
            for line, shell in ((self.to_agent, self.agent), (self.to_laptop, self.laptop)):
                if line.frames:
                    shell.half.receive(line.frames.popleft(), self.now_s)
            self._watch()

    @precondition(lambda self: not (self.whole or self.laptop.end or self.agent.end))
    @rule(how=DAMAGE, there=st.booleans(), where=st.integers(0, 50), bit=st.integers(0, 5000))
    def damage(self, how: str, there: bool, where: int, bit: int) -> None:
        """Damage the line."""
        self._load()
        line = self.to_agent if there else self.to_laptop
        if line.frames:
            line.damage(how, where, bit)

    # ---- what must hold --------------------------------------------------------------------------------------

    @invariant()
    def what_is_read_was_written(self) -> None:
        for line, shell, other in (
            (self.to_laptop, self.laptop, self.agent),
            (self.to_agent, self.agent, self.laptop),
        ):
            if not line.flipped:
                for number, raw in shell.read.items():
                    assert other.written[number].startswith(raw)

    @invariant()
    def only_a_damaged_line_closes(self) -> None:
        whole = not (self.to_agent.broken or self.to_laptop.broken)
        for shell in self.shells:
            if shell.end is not None:
                assert not whole, shell.end
                assert shell.end.by_peer or isinstance(shell.end.error, errors.RemoteProtocolError), shell.end

    @invariant()
    def what_is_kept_is_bounded(self) -> None:
        for shell in self.shells:
            assert shell.half.streams.held_bytes <= BOUND
            assert shell.half.streams.in_flight_bytes <= BOUND
            assert len(shell.half.streams) <= 2 * LIMITS.max_open

    def teardown(self) -> None:
        """On a whole line everything arrives in the end, and nothing stays under way."""
        if self.to_agent.broken or self.to_laptop.broken:
            self._drain()
            return
        for _ in range(20):
            self._drain()
            for shell in self.shells:
                while shell.calls:
                    number = shell.calls.pop()
                    shell.half.send(messages.Dialled(number))
                    shell.open.append(number)
        for shell, other in ((self.laptop, self.agent), (self.agent, self.laptop)):
            for number, raw in other.written.items():
                if number not in shell.gone | other.gone:
                    assert shell.read.get(number, b"") == raw
            for number in [each for each in shell.open if each not in shell.said_eof]:
                shell.half.send(messages.Eof(number))
        for _ in range(20):
            self._drain()
        for shell in self.shells:
            # Of 16 streams that may be opened each is missed: so nothing waits for company.
            assert len(shell.half.streams) == 0
            assert shell.half.streams.held_bytes == shell.half.streams.in_flight_bytes == 0
            figures = shell.half.statistics()
            assert figures.queued_bytes == 0
            # what was dropped before it left does not count as under way for ever
            assert figures.in_flight_bytes < 64 * 1024

    def _drain(self) -> None:
        for _ in range(10_000):
            self._load()
            for shell in self.shells:
                while shell.unconsumed and not shell.half.closed:
                    shell.half.consumed(*shell.unconsumed.popleft())
            self._load()
            if not (self.to_agent.frames or self.to_laptop.frames):
                return
            self.move(1)
        raise AssertionError("the halves never come to rest")

    def _load(self) -> None:
        for shell, line in ((self.laptop, self.to_agent), (self.agent, self.to_laptop)):
            while (frame := shell.half.next_frame(self.now_s)) is not None:
                line.frames.append(frame)

    def _watch(self) -> None:
        for shell in self.shells:
            for event in shell.half.events():
                assert shell.end is None, "nothing comes after Closed"
                self._see(shell, event)

    def _see(self, shell: Shell, event: session.Event) -> None:
        match event:
            case session.Closed():
                shell.end = event
            case messages.Dial() | messages.Accepted():
                shell.calls.append(event.stream)
            case messages.Dialled():
                shell.dialled.remove(event.stream)
                (shell.gone.add if event.why else shell.open.append)(event.stream)
            case messages.Listen():
                refused = event.number % 3 == 2
                shell.half.send(messages.Listening(event.number, "taken" if refused else ""))
                if not refused:
                    shell.listening.append(event.number)
            case messages.Unlisten():
                shell.listening.remove(event.number)
            case messages.Data():
                assert event.stream not in shell.gone
                shell.read[event.stream] = shell.read.get(event.stream, b"") + event.data
                shell.unconsumed.append((event.stream, messages.cost(event)))
            case messages.Eof():
                assert event.stream not in shell.got_eof | shell.gone
                shell.got_eof.add(event.stream)
            case messages.Reset():
                shell.drop(event.stream)
            case _:
                pass


Streams.TestCase.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)
TestByteStreams = Streams.TestCase
