"""The agent in a clean room: what it imports, and what it weighs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.behaviour import agents

# What the agent's image holds besides Python's own library. msgspec uses typing_extensions where it happens to be.
THIRD_PARTY: Final = {"websockets", "msgspec", "backports", "compression", "typing_extensions"}
KERNEL: Final = {"devloop", "agent"}
LAYERS: Final = {"errors", "core", "protocol", "fs", "proc", "wire"}

# The bound for an agent with 10,000 files is 45 MB; one that has just started must leave room for them.
START_KB: Final = 38_000
FILES_KB: Final = 45_000

LIST_MODULES: Final = """
import json, sys
before = set(sys.modules)
import {module}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def imported(module: str) -> list[str]:
    """Return what importing a module loads, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LIST_MODULES.format(module=module)],
        env=agents.environment(),
        capture_output=True,
        check=True,
        text=True,
    )
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("module", ["agent.server", "agent.__main__"])
def test_the_agent_needs_little_besides_python(module: str) -> None:
    found = imported(module)
    tops = {name.partition(".")[0] for name in found}
    strangers = tops - set(sys.stdlib_module_names) - THIRD_PARTY - KERNEL
    # Parts of compiled packages that register themselves under names of their own.
    assert {name for name in strangers if not name.startswith("_")} == set()
    layers = {name.split(".")[1] for name in found if name.startswith("devloop.")}
    assert layers <= LAYERS


def test_the_key_is_printed_without_the_weight_of_a_server() -> None:
    found = imported("agent.__main__")
    assert not {"asyncio", "websockets", "agent.server", "agent.host"} & set(found)


@pytest.mark.parametrize(
    "heavy", ["pydantic", "yaml", "click", "rich", "watchdog", "structlog", "platformdirs", "kubernetes", "aiohttp"]
)
def test_none_of_the_laptops_libraries_is_loaded(heavy: str) -> None:
    assert not [name for name in imported("agent.server") if name.partition(".")[0] == heavy]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_agent_that_has_just_started_is_small(tmp_path: Path) -> None:
    with agents.running(tmp_path) as agent:
        assert agent.figure("VmRSS") < START_KB


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_ten_thousand_files_and_a_large_delta_fit(tmp_path: Path) -> None:
    import asyncio

    from devloop.core import delta, entry, ops
    from devloop.protocol import bodies, messages
    from tests.unit.agent import linked

    big = os.urandom(1024) * 5 * 1024
    edited = big[: 2 * 1024 * 1024] + b"edit" + big[2 * 1024 * 1024 :]
    with agents.running(tmp_path) as agent:
        async with asyncio.timeout(50), agents.hand(agent) as hand:
            await hand.open()
            contents = [f"file {index}".encode() * 20 for index in range(10_000)]
            changes = [
                ops.put(0, f"d{index % 100}/f{index}", linked.file_entry(raw)) for index, raw in enumerate(contents)
            ]
            folders = [ops.put(0, f"d{index}", entry.folder()) for index in range(100)]
            encoder = bodies.Encoder(1)
            await hand.send(messages.Begin(16, 10_100), *encoder.ops(16, [*folders, *changes]))
            sent = 0
            for pack in encoder.packs(16, ((index + 100, raw) for index, raw in enumerate(contents))):
                await hand.send(pack)
                sent += messages.cost(pack)
            await hand.send(messages.Commit(16))
            assert not (await hand.until(messages.Ack)).problems  # type: ignore[union-attr]
            whole = ops.put(0, "big", linked.file_entry(big))
            await hand.send(messages.Begin(17, 1), *encoder.ops(17, [whole]))
            step = messages.MAX_DATA_BYTES
            for start in range(0, len(big), step):
                await hand.send(encoder.chunk(17, 0, start, big[start : start + step]))
            await hand.send(messages.Commit(17))
            assert not (await hand.until(messages.Ack)).problems  # type: ignore[union-attr]
            difference = delta.make(big, edited)
            await hand.send(
                messages.Begin(18, 1), *encoder.ops(18, [ops.put(0, "big", linked.file_entry(edited))]),
                messages.Delta(18, 0, linked.file_entry(big).digest, True, difference), messages.Commit(18),
            )  # fmt: skip
            assert not (await hand.until(messages.Ack)).problems  # type: ignore[union-attr]
            assert (agent.data / "big").read_bytes() == edited
        assert agent.figure("VmRSS") < FILES_KB
        # While it makes the file, zstd's copy of the old one and its window come on top.
        assert agent.figure("VmHWM") < FILES_KB + 15_000
