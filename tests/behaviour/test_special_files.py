"""Sockets and FIFOs are reported and left out, and block nothing."""

from __future__ import annotations

import os
import socket

from tests.behaviour import world
from tests.behaviour.conftest import Start


def test_a_fifo_and_a_socket_are_reported_and_the_rest_is_in_sync(start: Start) -> None:
    subject = start(world.config("from: ./web, to: /app"), {"web/a.py": "1", "web/was": "a file"})
    assert subject.settle() == "in sync"
    os.mkfifo(subject.project / "web/pipe")
    (subject.project / "web/was").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(subject.project / "web/was"))
        subject.write("web/a.py", "2")
        assert subject.settle() == "in sync"
        shown = {(row["path"], row["reason"]) for row in subject.status()["problems"]}
        assert shown == {("pipe", "special"), ("was", "special")}
        assert (subject.target / "app/a.py").read_text() == "2"
        assert not (subject.target / "app/pipe").exists()
    (subject.project / "web/pipe").unlink()
    (subject.project / "web/was").unlink()
    assert subject.settle() == "in sync"
    assert not subject.status()["problems"]
