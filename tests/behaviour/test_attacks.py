"""Attacks on a real agent process: whatever comes, it says why it refuses, writes nothing outside, and goes on."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import msgspec
import pytest
import websockets

from agent import server
from devloop import errors
from devloop.core import entry, ops, zstd
from devloop.protocol import bodies, codec, handshake, laptop, messages, version
from devloop.transport import dial
from devloop.wire import driver
from tests.behaviour import agents
from tests.unit.agent import linked
from tests.unit.wire import wired

UNSAFE = [b"../x", b"/x", b"a/../../x", b"a\0b", b".git/x", b"a/.devloop/x", b"", b"a//b", b".", b"a/..", b"x" * 5000]


@pytest.fixture(scope="module", params=["socket", "port"])
def process(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[agents.Process]:
    with agents.running(tmp_path_factory.mktemp("agent"), port=request.param == "port") as running:
        yield running


@pytest.fixture
async def agent(process: agents.Process) -> AsyncIterator[agents.Process]:
    yield process
    await still_serves(process)


async def still_serves(agent: agents.Process) -> None:
    """See that an honest laptop is served, whatever was tried before, and that nothing was written elsewhere."""
    name = f"honest-{os.urandom(4).hex()}"
    for attempt in range(200):
        try:
            async with agents.hand(agent) as hand:
                await hand.open()
                await batch(hand, ops.put(0, name, linked.file_entry(b"honest")), bodies_of=[b"honest"])
                ack = await hand.until(messages.Ack)
                assert isinstance(ack, messages.Ack) and not ack.problems and not ack.refused
                break
        except (websockets.ConnectionClosed, OSError):
            # The links that were tried before may still be ending.
            assert attempt < 199
            await asyncio.sleep(0.02)
    assert (agent.data / name).read_bytes() == b"honest"
    outside = {path.name for path in agent.folder.iterdir()}
    assert outside <= {"r", "s", "agent"}
    assert {path.name for path in (agent.folder / "r").iterdir()} == {"data", "stage", "state"}
    assert all(path.name.startswith("honest-") for path in agent.data.iterdir())


async def batch(hand: agents.Hand, *changes: ops.Op, bodies_of: Iterable[bytes] = (), number: int = 16) -> None:
    encoder = bodies.Encoder(0)
    await hand.send(messages.Begin(number, len(changes)), *encoder.ops(number, changes))
    await hand.send(*encoder.packs(number, enumerate(bodies_of)), messages.Commit(number))


async def refused(hand: agents.Hand, *sent: messages.Message) -> messages.Bye:
    """Send something on an open session, and return what the agent says to it."""
    await hand.open()
    await hand.send(*sent)
    bye = await hand.bye()
    with pytest.raises(websockets.ConnectionClosed):
        await hand.recv()
    return bye


# ---- who may talk to it -------------------------------------------------------------------------------------


async def test_a_wrong_key_is_an_auth_error(agent: agents.Process) -> None:
    connected = await (dial.unix(agent.socket) if not agent.port else over_port(agent.port))
    half = laptop.LaptopSession(b"x" * 64, os.urandom(32), asyncio.get_running_loop().time())
    with pytest.raises(errors.AuthError) as caught:
        await driver.Driver(half, connected, lambda event: None).run()
    assert int(caught.value.exit_status) == 4
    assert caught.value.hint


async def over_port(port: int) -> driver.Connection:
    return await dial.over(wired.Wired(socket.create_connection(("127.0.0.1", port))), "the port")


async def test_a_recorded_proof_proves_nothing(agent: agents.Process) -> None:
    async with agents.hand(agent) as first:
        await first.nonces()
        recorded, nonce = first.proof(), first.nonce
        await first.send(recorded)
        await first.until(messages.AgentHello)
    async with agents.hand(agent) as second:
        second.nonce = nonce
        await second.nonces()
        await second.send(recorded)
        assert (await second.bye()).reason is messages.Refusal.PROOF


async def test_a_reflected_proof_proves_nothing(agent: agents.Process) -> None:
    # The agent's own nonce and proof, taken from one link and given back on another.
    async with agents.hand(agent) as honest, agents.hand(agent) as mirror:
        told = await mirror.recv()
        assert isinstance(told, messages.Nonce)
        honest.nonce = told.nonce
        await honest.nonces()
        await honest.send(honest.proof())
        reflected = await honest.recv()
        assert isinstance(reflected, messages.Proof)
        await mirror.send(messages.Nonce(handshake.MAGIC, version.MAJOR, honest.theirs, "0.1.0"), reflected)
        assert (await mirror.bye()).reason is messages.Refusal.PROOF
    async with agents.hand(agent) as echo:
        told = await echo.recv()
        await echo.send(told)
        await echo.send(messages.Proof(bytes(32)))
        assert (await echo.bye()).reason is messages.Refusal.PROOF


async def test_the_agent_tells_nothing_before_the_proof(agent: agents.Process) -> None:
    async with agents.hand(agent) as hand:
        await hand.nonces()
        await hand.send(linked.hello(epoch=1))
        bye = await hand.bye()
        assert bye.reason is messages.Refusal.PROTOCOL and bye.owner == ""


@pytest.mark.parametrize(("major", "fix"), [(version.MAJOR + 1, "bring the agent"), (0, "pip install --upgrade")])
async def test_a_laptop_of_another_major_version_is_told_the_fix(agent: agents.Process, major: int, fix: str) -> None:
    async with agents.hand(agent) as hand:
        await hand.nonces(major=major, own="9.9.9")
        bye = await hand.bye()
        assert bye.reason is messages.Refusal.MAJOR
        assert fix in bye.hint and "9.9.9" in bye.message


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1", ""])
async def test_a_browser_is_refused(agent: agents.Process, origin: str) -> None:
    with pytest.raises(websockets.InvalidHandshake):
        async with agent.connect(additional_headers={"Origin": origin}):
            raise AssertionError


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n"])
async def test_what_is_no_websocket_is_refused(agent: agents.Process, request_: bytes) -> None:
    reader, writer = await agent.raw()
    writer.write(request_)
    async with asyncio.timeout(15):
        answer = await reader.read()
    assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    writer.close()


# ---- frames -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\0",
        b"garbage" * 10,
        struct.pack(">I", 0) + b"\x93\x01\x02",
        struct.pack(">I", 1) + b"\x91\x07",
        struct.pack(">I", 0) + b"\xdd\xff\xff\xff\xff",
        struct.pack(">I", 0) + b"\x91" * 3000,
        bytes(codec.MAX_STRANGER_FRAME_BYTES + 1),
    ],
)
async def test_garbage_before_the_proof_ends_the_link_with_a_reason(agent: agents.Process, frame: bytes) -> None:
    async with agents.hand(agent) as hand:
        await hand.connection.send(frame)
        assert (await hand.bye()).reason is messages.Refusal.PROTOCOL


async def test_a_frame_beyond_the_limit_is_never_taken_in(agent: agents.Process) -> None:
    before = agent.figure("VmHWM")
    async with agents.hand(agent) as hand:
        with pytest.raises(websockets.ConnectionClosed, match="too big"):
            await hand.connection.send(bytes(50_000_000))
            while True:
                await hand.recv()
    assert agent.figure("VmHWM") < before + 10_000


@pytest.mark.parametrize("damage", ["truncated", "repeated", "lost", "trailing"])
async def test_a_damaged_frame_ends_the_session_with_a_reason(agent: agents.Process, damage: str) -> None:
    async with agents.hand(agent) as hand:
        await hand.open()
        frame = hand.writer.frame(codec._encoder.encode(messages.Ping(1)))
        if damage == "truncated":
            await hand.connection.send(frame[:-1])
        elif damage == "repeated":
            await hand.connection.send(frame)
            await hand.connection.send(frame)
        elif damage == "lost":
            await hand.send(messages.Ping(2))
        else:
            await hand.connection.send(frame + b"x")
        assert (await hand.bye()).reason is messages.Refusal.PROTOCOL


async def test_text_is_refused(agent: agents.Process) -> None:
    async with agents.hand(agent) as hand:
        await hand.open()
        await hand.connection.send("text")
        assert "text message" in (await hand.bye()).message


async def test_messages_out_of_turn_end_the_session(agent: agents.Process) -> None:
    for message in (messages.Welcome(1), messages.Commit(16), linked.hello(epoch=99), messages.Ack(16, 16, ())):
        async with agents.hand(agent) as hand:
            assert (await refused(hand, message)).reason is messages.Refusal.PROTOCOL


# ---- time and number ----------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_half_a_handshake_is_given_up(tmp_path: Path) -> None:
    # The deadline is some seconds; it is the one test that waits for it, on three links at once.
    with agents.running(tmp_path) as agent:
        async with (
            asyncio.timeout(30),
            agents.hand(agent) as silent,
            agents.hand(agent) as half,
            agents.hand(agent) as proved,
        ):
            await half.nonces()
            await proved.prove()
            mute, noisy = await agent.raw(), await agent.raw()
            noisy[1].write(bytes(100))
            for hand in (silent, half, proved):
                assert (await hand.bye()).reason is messages.Refusal.SILENT
            for reader, writer in (mute, noisy):
                assert await reader.read() == b""
                writer.close()
        await still_serves(agent)


async def test_a_hundred_links_at_once_are_bounded_and_told(agent: agents.Process) -> None:
    before = agent.figure("VmRSS")
    taken, told = 0, 0
    async with contextlib.AsyncExitStack() as stack:
        links = [await stack.enter_async_context(agent.connect()) for _ in range(100)]
        for link in links:
            try:
                async with asyncio.timeout(20):
                    assert isinstance(await link.recv(), bytes)
                taken += 1
            except websockets.ConnectionClosed as closed:
                assert closed.rcvd is not None
                assert closed.rcvd.code == server.TRY_AGAIN_LATER and "links are open" in closed.rcvd.reason
                told += 1
        assert (taken, told) == (server.MAX_LINKS, 100 - server.MAX_LINKS)
        assert agent.figure("VmRSS") < before + 15_000


# ---- batches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", UNSAFE)
async def test_a_path_that_leads_out_is_refused(agent: agents.Process, path: bytes) -> None:
    wire = [messages.WireOp(int(ops.Action.PUT), 0, path, linked.file_entry(b"evil"))]
    raw = msgspec.msgpack.encode(wire)
    async with agents.hand(agent) as hand:
        listed = messages.Ops(16, len(raw), messages.Codec.RAW, raw)
        bye = await refused(hand, messages.Begin(16, 1), listed)
    assert bye.reason is messages.Refusal.PROTOCOL


@pytest.mark.parametrize("target", [b"/etc/passwd", b"../../outside", b"a/../../.."])
async def test_a_link_that_leads_out_is_not_made(agent: agents.Process, target: bytes) -> None:
    async with agents.hand(agent) as hand:
        await hand.open()
        await batch(hand, ops.put(0, "link", entry.link(target)))
        assert [row.path for row in await problems_of(hand)] == [b"link"]
    assert not os.path.lexists(agent.data / "link")


async def problems_of(hand: agents.Hand) -> list[messages.WireProblem]:
    """Return the problems of the batch that is acked next."""
    rows: list[messages.WireProblem] = []
    while not isinstance(message := await hand.recv(), messages.Ack):
        if isinstance(message, messages.Problems):
            rows += message.problems
    return [*rows, *message.problems]


async def test_a_batch_for_a_root_that_is_not_there_is_refused(agent: agents.Process) -> None:
    raw = msgspec.msgpack.encode([messages.WireOp(int(ops.Action.PUT), 7, b"x", entry.folder())])
    async with agents.hand(agent) as hand:
        listed = messages.Ops(16, len(raw), messages.Codec.RAW, raw)
        assert "root" in (await refused(hand, messages.Begin(16, 1), listed)).message
    async with agents.hand(agent) as hand:
        assert "root" in (await refused(hand, messages.Request(16, messages.Ask.MANIFEST, 7))).message
    async with agents.hand(agent) as hand:
        assert "root" in (await refused(hand, messages.Rules(7, b"", 0, b""))).message


async def test_a_commit_without_its_bodies_is_refused(agent: agents.Process) -> None:
    encoder = bodies.Encoder(0)
    change = ops.put(0, "x", linked.file_entry(b"never comes"))
    async with agents.hand(agent) as hand:
        bye = await refused(hand, messages.Begin(16, 1), *encoder.ops(16, [change]), messages.Commit(16))
    assert bye.reason is messages.Refusal.PROTOCOL
    async with agents.hand(agent) as hand:
        assert (await refused(hand, messages.Begin(16, 5), messages.Commit(16))).reason is messages.Refusal.PROTOCOL


@pytest.mark.parametrize("kind", ["ops", "pack", "chunk", "rules", "claimed"])
async def test_a_decompression_bomb_costs_no_memory(agent: agents.Process, kind: str) -> None:
    bomb = zstd.Compressor(1).compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    small = 1000
    declared = 2**40 if kind == "claimed" else small
    before = agent.figure("VmHWM")
    encoder = bodies.Encoder(0)
    change = ops.put(0, "x", entry.file(bytes(32), 50_000_000 if kind == "chunk" else small))
    begun: list[messages.Message] = [messages.Begin(16, 1)]
    if kind in {"pack", "chunk"}:
        begun += encoder.ops(16, [change])
    packed: dict[str, messages.Message] = {
        "ops": messages.Ops(16, declared, messages.Codec.ZSTD, bomb),
        "claimed": messages.Ops(16, declared, messages.Codec.ZSTD, bomb),
        "pack": messages.Pack(16, (0,), declared, messages.Codec.ZSTD, bomb),
        "chunk": messages.Chunk(16, 0, 0, declared, messages.Codec.ZSTD, bomb),
        "rules": messages.Rules(0, b"", declared, bomb),
    }
    async with agents.hand(agent) as hand:
        assert (await refused(hand, *begun, packed[kind])).reason is messages.Refusal.PROTOCOL
    assert agent.figure("VmHWM") < before + 15_000


async def test_a_body_that_is_not_what_was_announced_is_not_taken(agent: agents.Process) -> None:
    async with agents.hand(agent) as hand:
        await hand.open()
        await batch(hand, ops.put(0, "x", linked.file_entry(b"honest")), bodies_of=[b"forged"])
        assert [row.path for row in await problems_of(hand)] == [b"x"]
    assert not (agent.data / "x").exists()


async def test_absurd_sizes_are_refused_or_cost_nothing(agent: agents.Process) -> None:
    before = agent.figure("VmHWM")
    async with agents.hand(agent) as hand:
        assert (await refused(hand, messages.Begin(16, 2**60))).reason is messages.Refusal.PROTOCOL
    huge = ops.put(0, "x", entry.file(hashlib.sha256(b"").digest(), 2**60))
    async with agents.hand(agent) as hand:
        await hand.open()
        await hand.send(messages.Begin(16, 1), *bodies.Encoder(0).ops(16, [huge]), messages.Abort(16))
        await hand.send(messages.Ping(7))
        await hand.until(messages.Pong)
    async with agents.hand(agent) as hand:
        await hand.open()
        with contextlib.suppress(websockets.ConnectionClosed):
            for number in range(16, 16 + 1000):
                await hand.send(messages.Begin(number, 1))
        assert (await hand.bye()).reason is messages.Refusal.PROTOCOL
    assert agent.figure("VmHWM") < before + 15_000


async def test_a_laptop_that_ignores_its_credit_is_cut_off(agent: agents.Process) -> None:
    before = agent.figure("VmHWM")
    change = ops.put(0, "x", entry.file(bytes(32), 2**40))
    async with agents.hand(agent) as hand:
        await hand.open()
        await hand.send(messages.Begin(16, 2), *bodies.Encoder(0).ops(16, [change]))
        raw = bytes(messages.MAX_DATA_BYTES)
        with contextlib.suppress(websockets.ConnectionClosed):
            # Small pieces of many bodies are never complete, so nothing is given back but what is written.
            for index in range(400):
                await hand.send(messages.Chunk(16, 0, index * len(raw), len(raw), messages.Codec.RAW, raw))
            await hand.send(messages.Abort(16))
    assert agent.figure("VmHWM") < before + 40_000


# ---- what lies on the disk ----------------------------------------------------------------------------------


def test_the_key_is_private_new_at_each_start_and_can_be_printed(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        with agents.running(tmp_path) as agent:
            assert agent.said == {"ready": True, "key_file": str(agent.state / "key")}
            assert stat.S_IMODE((agent.state / "key").stat().st_mode) == 0o600
            assert stat.S_IMODE(os.stat(agent.socket).st_mode) == 0o600
            assert stat.S_IMODE(agent.state.stat().st_mode) == 0o700
            keys.append(agents.run("key", "--state", str(agent.state)).stdout)
            assert keys[-1] == agent.key
    assert keys[0] != keys[1]


def test_without_an_agent_there_is_no_key(tmp_path: Path) -> None:
    asked = agents.run("key", "--state", str(tmp_path))
    assert asked.returncode == 1
    assert msgspec.json.decode(asked.stdout)["error"]["code"] == "DL0604"
    assert b"no key at" in asked.stderr and b"Traceback" not in asked.stderr


def test_a_port_that_is_taken_is_one_plain_error(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        roots, state = agents.roots_in(tmp_path), str(tmp_path / "agent")
        tried = agents.run("serve", "--roots", roots, "--state", state, "--port", port)
    assert tried.returncode == 1
    assert "cannot listen on 127.0.0.1" in msgspec.json.decode(tried.stdout)["error"]["message"]
    assert b"Traceback" not in tried.stderr
