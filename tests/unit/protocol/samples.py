"""One good message of each kind, what messages are on the wire, and strategies for any."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from devloop.core import entry, problem
from devloop.protocol import codec, messages, state, version
from tests.protocol import playbook

STREAM = messages.FIRST_STREAM
FILE = entry.file(b"d" * 32, 5, executable=True)

SAMPLES: tuple[messages.Message, ...] = (
    messages.Nonce("devloop", 1, b"n" * 32, "0.1.0"),
    messages.Proof(b"m" * 32),
    messages.Bye(messages.Refusal.OWNED, "held", "ask ann", "ann@host"),
    playbook.agent_hello(),
    playbook.laptop_hello(),
    messages.Welcome(3),
    messages.Ping(1),
    messages.Pong(1),
    messages.Credit(70, ((16, 70),)),
    messages.Rules(0, b"r", 2, b"zz"),
    messages.Begin(16, 2),
    messages.Ops(16, 10, messages.Codec.RAW, b"0123456789"),
    messages.Pack(16, (0, 1), 4, messages.Codec.RAW, b"abcd"),
    messages.Chunk(16, 1, 0, 3, messages.Codec.ZSTD, b"abc"),
    messages.Delta(16, 1, b"b" * 32, True, b"delta"),
    messages.Copy(16, 1, 0, b"caf\xe9"),
    messages.Cancel(16, (0, 1)),
    messages.Commit(16, (messages.HookSpec("pip", ("pip", "install"), "/app"),), False),
    messages.Abort(16),
    messages.Need(16, (1,)),
    messages.Problems(16, (messages.WireProblem(0, b"x", problem.Reason.IO, "bad", 5),), ((0, b"y"),)),
    messages.Ack(16, 16, (b"t" * 32,), (messages.WireProblem(0, b"x", problem.Reason.IO, "bad", 5),), ((0, b"y"),)),
    messages.Request(16, messages.Ask.PULL, 0, b"a", b"d"),
    messages.Part(16, 3, messages.Codec.RAW, b"abc"),
    messages.Done(16, "no"),
    messages.Findings(0, (messages.WireDrift(b"a", FILE, None),), 1, (b"x",), 1, 2, ((b"p", FILE),)),
    messages.Output(1, "app", True, 0, b"line\n"),
    messages.AppChanged("running", 12, 1),
    messages.HookStarted("pip"),
    messages.HookDone("pip", True, "exit 0", 12),
    messages.Dial(STREAM, "db", 5432),
    messages.Dialled(STREAM, "rule", "no", "ask", "10.0.0.1:5432"),
    messages.Listen(0, 9003),
    messages.Listening(0, "taken", "another"),
    messages.Unlisten(0),
    messages.Accepted(STREAM + 1, 0, "127.0.0.1:4"),
    messages.Data(STREAM, b"abc"),
    messages.Eof(STREAM),
    messages.Reset(STREAM, "gone"),
)


# What an open agent gets and neither the link, nor the session, nor its shell deals with.
BATCH_KINDS = tuple(
    kind
    for kind in state.TABLE[state.Role.AGENT][state.State.OPEN, state.Way.RECEIVE]
    if kind not in {messages.Ping, messages.Pong, messages.Credit, messages.Bye, messages.Rules, messages.Request}
    and version.NEEDED.get(kind.__name__) != version.STREAMS
)


def wire(message: messages.Message) -> Any:
    """Return what a message is on the wire, as the plain values of its msgpack array: the tag, then the fields."""
    return msgspec.msgpack.decode(codec.encode(message))


COUNTS = st.integers(0, 2**62)


def any_message() -> st.SearchStrategy[Any]:
    """Return a strategy for messages: the samples, and some with any values that their types allow."""
    return st.one_of(
        st.sampled_from(SAMPLES),
        st.builds(messages.Ping, COUNTS),
        st.builds(messages.Credit, COUNTS, st.lists(st.tuples(COUNTS, COUNTS), max_size=3).map(tuple)),
        st.builds(messages.Chunk, COUNTS, COUNTS, COUNTS, COUNTS, st.sampled_from(messages.Codec), st.binary()),
        st.builds(messages.Bye, st.sampled_from(messages.Refusal), st.text(), st.text(), st.text()),
        st.builds(messages.Cancel, COUNTS, st.lists(COUNTS, max_size=5).map(tuple)),
    )
