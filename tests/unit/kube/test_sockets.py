"""Sockets that notice when their peer is gone."""

from __future__ import annotations

import asyncio
import socket
from asyncio import sslproto

from devloop.kube import sockets


def test_a_dead_peer_is_found_within_ten_seconds() -> None:
    with sockets.make((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))) as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert made.getblocking() is False
        if hasattr(socket, "TCP_KEEPIDLE"):
            read = [
                made.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
                for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
            ]
            assert read[0] + read[1] * read[2] <= 10


class _Protocol:
    def __init__(self) -> None:
        self.max_size = 256 * 1024


class _Transport(asyncio.BaseTransport):
    def __init__(self, opened: socket.socket | None, protocol: object) -> None:
        super().__init__({"socket": opened})
        self._ssl_protocol = protocol


def test_a_stream_of_small_records_is_read_in_small_pieces() -> None:
    with socket.socket() as opened:
        protocol = _Protocol()
        sockets.expect_small_records(_Transport(opened, protocol))
        assert protocol.max_size == 16 * 1024
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 64 * 1024


def test_what_is_not_as_expected_is_left_alone() -> None:
    sockets.expect_small_records(None)
    sockets.expect_small_records(asyncio.BaseTransport())
    sockets.expect_small_records(_Transport(None, object()))


def test_asyncio_still_has_what_is_set_there() -> None:
    assert sslproto.SSLProtocol.max_size > 16 * 1024
