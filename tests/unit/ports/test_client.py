"""An accepted connection that waits: what it says is kept, and it is seen when it leaves."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator

import pytest

from devloop.ports import client

Pair = tuple[client.Client, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        theirs = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
    accepted.setblocking(False)
    yield client.Client(accepted), theirs
    accepted.close()
    theirs.close()


async def test_what_is_said_while_it_waits_is_kept_once(pair: Pair) -> None:
    one, theirs = pair
    gone = one.gone()
    theirs.sendall(b"GET /")
    while not one._kept:
        await asyncio.sleep(0)
    one.unwatch()
    theirs.sendall(b" HTTP")
    one.gone()
    while len(one._kept) < 10:
        await asyncio.sleep(0)
    assert one.kept() == b"GET / HTTP" and one.kept() == b"" and not gone.done()


async def test_who_leaves_without_a_word_is_gone(pair: Pair) -> None:
    one, theirs = pair
    theirs.close()
    await asyncio.wait_for(one.gone(), 10)


async def test_who_resets_is_gone_whatever_was_said(pair: Pair) -> None:
    one, theirs = pair
    gone = one.gone()
    theirs.sendall(b"x")
    while not one._kept:
        await asyncio.sleep(0)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    await asyncio.wait_for(gone, 10)


async def test_who_ends_its_way_after_a_request_waits_for_the_answer(pair: Pair) -> None:
    one, theirs = pair
    gone = one.gone()
    theirs.sendall(b"request")
    theirs.shutdown(socket.SHUT_WR)
    while one._looking:
        await asyncio.sleep(0)
    assert not gone.done() and one.kept() == b"request"


async def test_what_is_kept_has_a_bound_and_the_rest_stays_in_order(pair: Pair) -> None:
    one, theirs = pair
    sent = bytes(range(256)) * 400
    one.gone()
    await asyncio.to_thread(theirs.sendall, sent)
    while one._looking:
        await asyncio.sleep(0)
    kept = one.kept()
    assert len(kept) == client.KEPT_BYTES and kept + one.socket.recv(len(sent)) == sent


async def test_a_reset_is_an_error_for_the_client_and_a_close_is_not(pair: Pair) -> None:
    one, theirs = pair
    one.reset()
    with pytest.raises(ConnectionResetError):
        theirs.recv(1)
    one.close()
