"""Sockets that notice when their peer is gone."""

from __future__ import annotations

import socket

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
