"""Asking an agent who it is, with the real session on a line in memory."""

from __future__ import annotations

import msgspec
import pytest

from devloop import errors
from devloop.doctor import facts, hello
from devloop.protocol import messages
from tests.unit.daemon import fake_agent


async def test_it_tells_who_it_is_and_is_not_claimed() -> None:
    agent = fake_agent.FakeAgent(("/app", "/lib"))
    agent.owner, agent.held = "ann@here", True
    found = await hello.ask(agent)
    assert (found.version, found.holder) == ("0.1.0", "ann@here")
    assert [root.to for root in found.roots] == ["/app", "/lib"]
    assert not [said for said in agent.heard if isinstance(said, messages.LaptopHello)]


async def test_a_root_that_cannot_be_written_is_told() -> None:
    agent = fake_agent.FakeAgent()

    def troubled(said: messages.AgentHello) -> messages.AgentHello:
        roots = tuple(msgspec.structs.replace(root, trouble="read-only file system") for root in said.roots)
        return msgspec.structs.replace(said, roots=roots)

    agent.hello = troubled
    assert (await hello.ask(agent)).roots == (facts.Root("/app", "read-only file system"),)


async def test_a_wrong_key_and_a_closed_way_are_errors() -> None:
    agent = fake_agent.FakeAgent()
    agent.key = b"x" * 64
    with pytest.raises(errors.AuthError):
        await hello.ask(agent)
    agent.refuse_open = errors.LinkError("no way")
    with pytest.raises(errors.LinkError, match="no way"):
        await hello.ask(agent)
