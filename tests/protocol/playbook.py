"""Scripts for one session half, and a pair of halves on a perfect line.

A script reads as what happens at one half::

    (
        Playbook(agent_half())
        .sends(messages.Nonce)
        .gets(nonce)
        .tells(session.Authenticated)
        .quiet()
    )

`gets` hands a message in as the peer's next frame, `does` calls the half as its shell would, `sends` and `tells` take
the next frame and the next event and compare: with a type, with a value, or with a predicate. `quiet` says that there
is nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from devloop import errors
from devloop.protocol import agent, codec, handshake, laptop, messages, session, state, version

KEY = b"k" * 32
LAPTOP_NONCE = b"L" * 32
AGENT_NONCE = b"A" * 32

Expected = type | Callable[[Any], bool] | object


def agent_hello(roots: int = 2, limits: messages.Limits | None = None, **more: Any) -> messages.AgentHello:
    """Return an agent's hello with plain values."""
    return messages.AgentHello(
        minor=more.pop("minor", version.MINOR),
        features=more.pop("features", version.FEATURES),
        version="0.1.0",
        boot_id="boot",
        epoch=0,
        session="",
        owner="",
        held=False,
        limits=limits or messages.Limits(),
        roots=tuple(messages.RootState(f"/r{n}", f"tree{n}", bytes(32), 0, True) for n in range(roots)),
        uid=1000,
        gid=1000,
    )


def laptop_hello(limits: messages.Limits | None = None, **more: Any) -> messages.LaptopHello:
    """Return a laptop's hello with plain values."""
    return messages.LaptopHello(
        minor=more.pop("minor", version.MINOR),
        features=more.pop("features", version.FEATURES),
        version="0.1.0",
        epoch=1,
        session="s",
        owner="me@here",
        limits=limits or messages.Limits(),
        syncs=(messages.SyncSpec("/r0"), messages.SyncSpec("/r1")),
        app=messages.AppSpec(messages.ReloadMode.NONE),
    )


def matches(actual: object, expected: Expected) -> bool:
    """Say whether a value is of the expected type, equal to the expected value, or accepted by the predicate."""
    if isinstance(expected, type):
        return isinstance(actual, expected)
    if callable(expected):
        return bool(expected(actual))
    return actual == expected


class Playbook:
    """One half and the script so far; every step returns the playbook."""

    def __init__(self, half: session.Session, now_s: float = 0.0) -> None:
        self.half = half
        self.now_s = now_s
        self.writer = codec.FrameWriter()
        self.reader = codec.FrameReader()
        self.log: list[str] = []
        self._events: list[session.Event] = []

    def gets(self, message: messages.Message) -> Self:
        """Hand a message in as the peer's next frame."""
        return self.gets_frame(self.writer.frame(codec._encoder.encode(message)))

    def gets_frame(self, frame: bytes) -> Self:
        """Hand a frame in as it is."""
        self.log.append(f">> {frame[:60]!r}")
        self.half.receive(frame, self.now_s)
        return self

    def does(self, step: Callable[[Any], object]) -> Self:
        """Call the half as its shell would."""
        step(self.half)
        return self

    def waits(self, seconds: float) -> Self:
        """Let time pass, with the ticks that the half asks for."""
        end = self.now_s + seconds
        while self.half.next_tick_s <= end:
            self.now_s = max(self.now_s, self.half.next_tick_s)
            self.half.tick(self.now_s)
        self.now_s = end
        return self

    def sends(self, *expected: Expected) -> Self:
        """Take as many frames and compare their messages."""
        for each in expected:
            frame = self.half.next_frame()
            message = self.reader.message(frame) if frame is not None else None
            self.log.append(f"<< {message!r}")
            assert matches(message, each), self._tell(each)
        return self

    def tells(self, *expected: Expected) -> Self:
        """Take as many events and compare them."""
        for each in expected:
            self._events += self.half.events()
            event = self._events.pop(0) if self._events else None
            self.log.append(f"!! {event!r}")
            assert matches(event, each), self._tell(each)
        return self

    def quiet(self) -> Self:
        """Say that there are no frames and no events left."""
        self._events += self.half.events()
        assert not self._events, self._events
        frame = self.half.next_frame()
        assert frame is None, frame
        return self

    def _tell(self, expected: Expected) -> str:
        return "\n".join([*self.log, f"expected {expected!r}"])


def closed_with(error: type[errors.DevloopError], words: str = "", where: str = "") -> Callable[[Any], bool]:
    """Return a predicate: the event is a `Closed` with this kind of error, whose message holds the words.

    Args:
        error: The kind.
        words: Some of its message.
        where: What the error of a protocol is about, such as `Ack.problems`; empty for anything.
    """
    return lambda event: (
        isinstance(event, session.Closed)
        and isinstance(event.error, error)
        and words in str(event.error)
        and (not where or getattr(event.error, "where", "") == where)
    )


def bye(reason: messages.Refusal) -> Callable[[Any], bool]:
    """Return a predicate: the message is a `Bye` for this reason."""
    return lambda message: isinstance(message, messages.Bye) and message.reason is reason


def open_agent(limits: messages.Limits | None = None, roots: int = 2, **hello: Any) -> Playbook:
    """Return an agent's half with an open session."""
    play = Playbook(agent.AgentSession(KEY, AGENT_NONCE, 0.0))
    play.sends(messages.Nonce).gets(handshake.first_message(LAPTOP_NONCE, "0.1.0"))
    play.gets(handshake.proof(KEY, state.Role.LAPTOP, LAPTOP_NONCE, AGENT_NONCE))
    play.sends(messages.Proof).tells(session.Authenticated)
    play.does(lambda half: half.send(agent_hello(roots, limits))).sends(messages.AgentHello)
    play.gets(laptop_hello(**hello)).tells(messages.LaptopHello)
    play.does(lambda half: half.send(messages.Welcome(1))).sends(messages.Welcome).tells(session.Opened)
    return play


def open_laptop(limits: messages.Limits | None = None, **hello: Any) -> Playbook:
    """Return a laptop's half with an open session, whose first ping was answered."""
    play = Playbook(laptop.LaptopSession(KEY, LAPTOP_NONCE, 0.0))
    play.sends(messages.Nonce).gets(handshake.first_message(AGENT_NONCE, "0.1.0")).sends(messages.Proof)
    play.gets(handshake.proof(KEY, state.Role.AGENT, LAPTOP_NONCE, AGENT_NONCE)).tells(session.Authenticated)
    play.gets(agent_hello(**hello)).tells(messages.AgentHello)
    play.does(lambda half: half.send(laptop_hello(limits))).sends(messages.LaptopHello)
    play.gets(messages.Welcome(1)).tells(session.Opened).sends(messages.Ping(1)).gets(messages.Pong(1))
    return play


def part(size: int, stream: int = 16) -> messages.Part:
    """Return a piece of an answer, of so many bytes."""
    return messages.Part(stream, size, messages.Codec.RAW, bytes(size))


def output(data: bytes) -> messages.Output:
    """Return lines of the app."""
    return messages.Output(messages.OUTPUT_STREAM, "app", False, 0, data)


def answering() -> Playbook:
    """Return an agent's half with request 16 open."""
    return open_agent().gets(messages.Request(16, messages.Ask.MANIFEST)).tells(messages.Request)


class Pair:
    """Both halves on a line that loses nothing and takes no time, driven by hand."""

    def __init__(self, limits: messages.Limits | None = None, key: bytes = KEY, agent_key: bytes = KEY) -> None:
        self.laptop = laptop.LaptopSession(key, LAPTOP_NONCE, 0.0)
        self.agent = agent.AgentSession(agent_key, AGENT_NONCE, 0.0)
        self.limits = limits
        self.now_s = 0.0
        self.at_laptop: list[session.Event] = []
        self.at_agent: list[session.Event] = []

    def pump(self) -> None:
        """Move frames until neither half has any."""
        moved = True
        while moved:
            moved = False
            for source, sink in ((self.laptop, self.agent), (self.agent, self.laptop)):
                while (frame := source.next_frame()) is not None:
                    sink.receive(frame, self.now_s)
                    moved = True
            self.at_laptop += self.laptop.events()
            self.at_agent += self.agent.events()

    def open(self) -> Pair:
        """Go through the handshake."""
        self.pump()
        self.agent.send(agent_hello(limits=self.limits))
        self.pump()
        self.laptop.send(laptop_hello(self.limits))
        self.pump()
        self.agent.send(messages.Welcome(1))
        self.pump()
        self.at_laptop.clear()
        self.at_agent.clear()
        return self
