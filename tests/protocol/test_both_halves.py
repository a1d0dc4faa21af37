"""Both halves against each other, on a line that does everything a line may do, and what it may not.

The machine lets the laptop and the agent say anything that the protocol allows at that moment, moves frames one by
one, and damages the line at random. What must hold, whatever happens:

- what one side delivers is what the other sent, in that order within what keeps an order, or nothing more at all;
- a damaged line closes the side that sees it with `RemoteProtocolError`, and no other exception leaves a session;
- on a line that is whole everything that was sent arrives, and all credit comes back.
"""

from __future__ import annotations

import hashlib
from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from devloop import errors
from devloop.core import entry, ops
from devloop.protocol import bodies, commands, messages, session
from tests.protocol import playbook

DAMAGE = st.sampled_from(["lose", "repeat", "swap", "cut", "flip", "prolong", "split"])


class Line:
    """One direction: frames under way, and whether they were damaged."""

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()
        self.flipped = False
        self.broken = False

    def damage(self, how: str, where: int, bit: int) -> None:
        """Do to the frames under way what must not happen to them."""
        index = where % len(self.frames)
        frame = self.frames[index]
        if not frame:
            return
        if how == "lose":
            del self.frames[index]
        elif how == "repeat":
            self.frames.insert(index, frame)
        elif how == "swap":
            self.frames.rotate(1)
            if len(self.frames) == 1:
                return
        elif how == "cut":
            self.frames[index] = frame[: bit % len(frame)]
        elif how == "prolong":
            self.frames[index] = frame + b"\0"
        elif how == "split":
            at = bit % len(frame)
            self.frames[index] = frame[at:]
            self.frames.insert(index, frame[:at])
        else:
            raw = bytearray(frame)
            raw[bit // 8 % len(raw)] ^= 1 << bit % 8
            self.frames[index] = bytes(raw)
            self.flipped = True
        self.broken = True


class Halves(RuleBasedStateMachine):
    """The machine; each rule is a step of one shell or of the line."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = playbook.Pair()
        self.laptop, self.agent = self.pair.laptop, self.pair.agent
        self.to_agent, self.to_laptop = Line(), Line()
        self.now_s = 0.0
        self.encoder = bodies.Encoder(1)
        self.next_number = 16
        self.batches: dict[int, dict[int, bytes]] = {}
        self.committed: list[int] = []
        self.acked: list[int] = []
        self.written: dict[int, dict[int, bytes]] = {}
        self.ready: list[int] = []
        self.lines_sent: list[bytes] = []
        self.lines_got: list[bytes] = []
        self.parts_sent: dict[int, bytes] = {}
        self.parts_got: dict[int, bytes] = {}
        self.open_requests: list[int] = []
        self.unconsumed: deque[tuple[session.Session, int, int]] = deque()
        self.ends: dict[session.Session, session.Closed] = {}

    @initialize()
    def open(self) -> None:
        """Begin with an open session."""
        self.pair.open()

    # ---- the laptop's shell ----------------------------------------------------------------------------------

    @rule(
        contents=st.lists(st.binary(min_size=1, max_size=300), max_size=4), size=st.sampled_from([0, 70_000, 300_000])
    )
    def begin(self, contents: list[bytes], size: int) -> None:
        """Begin a batch and send its ops."""
        number, self.next_number = self.next_number, self.next_number + 1
        if size:
            contents = [*contents, (bytes(contents[0]) if contents else b"x").ljust(size, b"\1")]
        changes = [
            ops.put(0, str(op), entry.file(hashlib.sha256(raw).digest(), len(raw))) for op, raw in enumerate(contents)
        ]
        if not self.laptop.can_begin(len(changes)):
            return
        self.laptop.send(messages.Begin(number, len(changes)))
        for message in self.encoder.ops(number, changes):
            self.laptop.send_bulk(message)
        self.batches[number] = dict(enumerate(contents))

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def bodies(self, data: st.DataObject) -> None:
        """Send what there is credit for of a batch, and commit it when everything was sent."""
        number = data.draw(st.sampled_from(sorted(self.batches)))
        left = self.batches[number]
        for op in list(left):
            if not self._body(number, op, left):
                return
        if self.laptop.closed:
            return
        self.laptop.send(messages.Commit(number))
        self.committed.append(number)
        del self.batches[number]

    def _body(self, number: int, op: int, left: dict[int, bytes]) -> bool:
        raw = left[op]
        if len(raw) <= 60_000:
            (pack,) = self.encoder.packs(number, [(op, raw)])
            if not self.laptop.can_send(number, len(pack.data)):
                return False
            self.laptop.send_bulk(pack)
        else:
            for offset in range(0, len(raw), 60_000):
                if not self.laptop.can_send(number, 60_000):
                    self.laptop.send(messages.Cancel(number, (op,)))
                    break
                self.laptop.send_bulk(self.encoder.chunk(number, op, offset, raw[offset : offset + 60_000]))
        del left[op]
        return True

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        """Abort a batch that was not committed."""
        number = data.draw(st.sampled_from(sorted(self.batches)))
        self.laptop.send(messages.Abort(number))
        del self.batches[number]

    @rule()
    def ask(self) -> None:
        """Send a request."""
        number, self.next_number = self.next_number, self.next_number + 1
        self.laptop.send(messages.Request(number, messages.Ask.MANIFEST))

    # ---- the agent's shell -----------------------------------------------------------------------------------

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        """Ack a batch whose commit has come."""
        number = data.draw(st.sampled_from(self.ready))
        self.ready.remove(number)
        if not self.agent.closed:
            self.agent.send(messages.Ack(number, self.agent.low_water_with(number), (bytes(32),) * 2))

    @rule(size=st.sampled_from([0, 10, 90_000]), count=st.integers(1, 3))
    def print_lines(self, size: int, count: int) -> None:
        """Send output."""
        for _ in range(count):
            raw = b"%d " % len(self.lines_sent) + bytes(size)
            if not self.agent.closed and self.agent.can_send(messages.OUTPUT_STREAM, len(raw)):
                self.agent.send_bulk(messages.Output(messages.OUTPUT_STREAM, "app", False, 0, raw))
                self.lines_sent.append(raw)

    @precondition(lambda self: self.open_requests)
    @rule(size=st.sampled_from([1, 100_000]), done=st.booleans())
    def answer(self, size: int, done: bool) -> None:
        """Send a part of an answer, or its end."""
        number = self.open_requests[0]
        if self.agent.closed:
            return
        if done:
            self.agent.send(messages.Done(number))
            self.open_requests.pop(0)
        elif self.agent.can_send(number, size):
            self.agent.send_bulk(messages.Part(number, size, messages.Codec.RAW, bytes(size)))
            self.parts_sent[number] = self.parts_sent.get(number, b"") + bytes(size)

    # ---- both ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.unconsumed)
    @rule(count=st.integers(1, 20))
    def consume(self, count: int) -> None:
        """Deal with what came."""
        for _ in range(min(count, len(self.unconsumed))):
            half, stream, size = self.unconsumed.popleft()
            half.consumed(stream, size)

    @rule(count=st.integers(1, 30))
    def move(self, count: int) -> None:
        """Move some frames in either direction."""
        for _ in range(count):
            self._load()
            for line, half in ((self.to_agent, self.agent), (self.to_laptop, self.laptop)):
                if line.frames:
                    half.receive(line.frames.popleft(), self.now_s)
            self._watch()

    @rule(seconds=st.sampled_from([0.01, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass for both; frames move, since the line is there."""
        self.now_s += seconds
        self.move(30)
        self.laptop.tick(self.now_s)
        self.agent.tick(self.now_s)

    @precondition(lambda self: not self.ends)
    @rule(how=DAMAGE, there=st.booleans(), where=st.integers(0, 50), bit=st.integers(0, 5000))
    def damage(self, how: str, there: bool, where: int, bit: int) -> None:
        """Damage the line."""
        self._load()
        line = self.to_agent if there else self.to_laptop
        if line.frames:
            line.damage(how, where, bit)

    # ---- what must hold --------------------------------------------------------------------------------------

    @invariant()
    def order_is_kept(self) -> None:
        """What came is a beginning of what was sent."""
        if not self.to_laptop.flipped:
            assert self.lines_got == self.lines_sent[: len(self.lines_got)]
            for number, raw in self.parts_got.items():
                assert self.parts_sent[number].startswith(raw)
            assert set(self.acked) <= set(self.committed)

    @invariant()
    def only_a_damaged_line_closes(self) -> None:
        """A session closes because of the line, or because its peer saw the line."""
        whole = not (self.to_agent.broken or self.to_laptop.broken)
        for end in self.ends.values():
            assert not whole, end
            assert end.by_peer or isinstance(end.error, errors.RemoteProtocolError | errors.LinkError), end

    @invariant()
    def memory_is_bounded(self) -> None:
        """What is held is within the limits."""
        for half in (self.laptop, self.agent):
            assert half.statistics().held_bytes <= messages.Limits().total_credit_bytes

    def teardown(self) -> None:
        """On a whole line everything arrives in the end, and nothing stays under way."""
        if not (self.to_agent.broken or self.to_laptop.broken):
            self._finish()
            assert not self.batches
            assert sorted(self.acked) == sorted(self.committed)
            assert self.lines_got == self.lines_sent
            assert self.parts_got == self.parts_sent
            for half in (self.laptop, self.agent):
                figures = half.statistics()
                assert figures.in_flight_bytes < 64 * 1024
                assert figures.queued_bytes == 0
            # aborted batches and answers that have ended wait for company, up to 16 of them
            for half, own in ((self.laptop, 0), (self.agent, 1)):
                streams = half.statistics().streams
                assert sum(each.ended for each in streams) <= 16
                assert sum(not each.ended for each in streams) == own
        else:
            self._drain()

    def _finish(self) -> None:
        for _ in range(100):
            for number in list(self.batches):
                for op in list(self.batches[number]):
                    if not self._body(number, op, self.batches[number]):
                        break
                else:
                    self.laptop.send(messages.Commit(number))
                    self.committed.append(number)
                    del self.batches[number]
            self._drain()
            while self.open_requests:
                self.agent.send(messages.Done(self.open_requests.pop()))
            while self.ready:
                number = self.ready.pop()
                self.agent.send(messages.Ack(number, self.agent.low_water_with(number), (bytes(32),) * 2))
            # enough for a last report in either direction, which gives back what waited for company
            self.agent.send_bulk(messages.Output(messages.OUTPUT_STREAM, "app", False, 0, b"end"))
            self.lines_sent.append(b"end")
            self._drain()
            self.consume(1000) if self.unconsumed else None
            if not self.batches and self.agent.statistics().in_flight_bytes == 0:
                return

    def _drain(self) -> None:
        for _ in range(10_000):
            self._load()
            if not (self.to_agent.frames or self.to_laptop.frames):
                return
            self.move(1)
        raise AssertionError("the halves never come to rest")

    def _load(self) -> None:
        for half, line in ((self.laptop, self.to_agent), (self.agent, self.to_laptop)):
            while (frame := half.next_frame(self.now_s)) is not None:
                line.frames.append(frame)

    def _watch(self) -> None:
        for half in (self.laptop, self.agent):
            for event in half.events():
                assert half not in self.ends, "nothing comes after Closed"
                self._see(half, event)

    def _see(self, half: session.Session, event: session.Event) -> None:
        match event:
            case session.Closed():
                self.ends[half] = event
            case commands.AddOps() | commands.WriteBody() | commands.WriteChunk() | commands.ApplyDelta():
                if event.credit:
                    self.unconsumed.append((half, event.batch, event.credit))
            case commands.CommitBatch():
                self.ready.append(event.batch)
            case messages.Ack():
                self.acked.append(event.batch)
            case messages.Request():
                self.open_requests.append(event.request)
            case messages.Output():
                self.lines_got.append(event.data)
                self.unconsumed.append((half, event.stream, messages.cost(event)))
            case messages.Part():
                self.parts_got[event.stream] = self.parts_got.get(event.stream, b"") + event.data
                self.unconsumed.append((half, event.stream, messages.cost(event)))
            case _:
                pass


Halves.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestBothHalves = Halves.TestCase
