"""Questions and answers over a link that may end, be slow, or refuse."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from devloop import errors
from devloop.daemon import requests
from devloop.protocol import messages


class Link:
    """Keeps what was sent and given back; answers by `on_request`."""

    def __init__(self, on_request: Callable[[messages.Request], None]) -> None:
        self.asked: list[messages.Request] = []
        self.given_back = 0
        self._on_request = on_request

    def send(self, request: messages.Request) -> None:
        self.asked.append(request)
        self._on_request(request)

    def consumed(self, stream: int, cost: int) -> None:
        assert stream == self.asked[-1].request
        self.given_back += 1


def part(number: int, content: bytes = b"x") -> messages.Part:
    return messages.Part(number, len(content), messages.Codec.RAW, content)


def linked(on_request: Callable[[requests.Requests, int], Any]) -> tuple[requests.Requests, Link]:
    subject = requests.Requests("pod")
    link = Link(lambda request: on_request(subject, request.request))
    subject.open(cast(Any, link))
    return subject, link


def answer(subject: requests.Requests, number: int) -> None:
    assert all(subject.take_part(part(number, content)) for content in (b"a", b"b", b"c"))
    subject.take_end(messages.Done(number, ""))


async def heard(parts: AsyncIterator[messages.Part]) -> list[bytes]:
    async with asyncio.timeout(20):
        return [each.data async for each in parts]


async def test_an_answer_is_its_parts_and_each_gives_its_credit_back() -> None:
    subject, link = linked(answer)
    assert await heard(subject.request(messages.Ask.PULL, root=1, path="a/x", digest=b"d")) == [b"a", b"b", b"c"]
    (asked,) = link.asked
    assert (asked.ask, asked.root, asked.path, asked.digest) == (messages.Ask.PULL, 1, b"a/x", b"d")
    assert link.given_back == 3


async def test_every_question_has_a_number_of_its_own() -> None:
    subject, link = linked(answer)
    for _ in range(2):
        await heard(subject.request(messages.Ask.SWEEP))
    assert len({request.request for request in link.asked}) == 2


async def test_who_leaves_early_gives_all_the_credit_back() -> None:
    subject, link = linked(answer)
    async with contextlib.aclosing(subject.request(messages.Ask.PULL)) as parts:
        async for _ in parts:
            break
    assert link.given_back == 3
    # Nobody waits any more: the credit of what comes now is for the caller to give back.
    assert not subject.take_part(part(link.asked[0].request))


async def test_an_agent_that_refuses_says_why() -> None:
    subject, _ = linked(lambda subject, number: subject.take_end(messages.Done(number, "it may not be")))
    with pytest.raises(errors.AgentError, match="it may not be"):
        await heard(subject.request(messages.Ask.RESTART))


async def test_a_link_that_ends_ends_all_that_is_asked_over_it() -> None:
    subject, _ = linked(lambda subject, number: subject.close())
    with pytest.raises(errors.LinkError, match="the link to pod ended"):
        await heard(subject.request(messages.Ask.SWEEP))
    with pytest.raises(errors.LinkError, match="not connected"):
        await heard(subject.request(messages.Ask.SWEEP))


async def test_one_who_does_not_answer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "REQUEST_TIMEOUT_S", 0.01)
    subject, _ = linked(lambda subject, number: None)
    with pytest.raises(errors.LinkError, match="did not answer"):
        await heard(subject.request(messages.Ask.SWEEP))


async def test_what_nobody_asked_is_nobodys_answer() -> None:
    subject, _ = linked(answer)
    assert not subject.take_part(part(99))
    subject.take_end(messages.Done(99, ""))
