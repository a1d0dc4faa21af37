"""Listening: both loopbacks, the first free port, and words for every way in which it fails."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from devloop import errors
from devloop.ports import bound
from tests.unit.ports import loopback


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_without_an_address_both_loopbacks_are_taken() -> None:
    port = loopback.free_port()
    made = bound.listen("", [port])
    found = sorted(each.getsockname()[0] for each in made.sockets)
    made.close()
    assert found == (["127.0.0.1", "::1"] if has_ipv6() else ["127.0.0.1"])
    assert (made.port, made.host) == (port, "localhost")


def test_a_machine_without_ipv6_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real = bound._socket

    def without(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
        if family is socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no such family")
        return real(family, address, port)

    monkeypatch.setattr(bound, "_socket", without)
    made = bound.listen("", [loopback.free_port()])
    made.close()
    assert len(made.sockets) == 1


def test_of_a_range_the_first_free_port_is_taken(taken: int) -> None:
    free = loopback.free_port()
    made = bound.listen("127.0.0.1", [taken, free])
    made.close()
    assert made.port == free


def test_a_port_that_is_taken_on_one_loopback_is_taken(taken: int) -> None:
    with pytest.raises(errors.LocalError, match=f"port {taken} is taken") as caught:
        bound.listen("", [taken])
    assert caught.value.error_code == "DL0370" and "ss -ltnp" in caught.value.hint
    with pytest.raises(errors.LocalError, match="are all taken"):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            bound.listen("", [taken, other.getsockname()[1]])


@pytest.mark.parametrize("bind", ["192.0.2.1", "example", "2001:db8::1"])
def test_an_address_of_somebody_else_is_told(bind: str) -> None:
    with pytest.raises(errors.LocalError, match="not an address of this machine") as caught:
        bound.listen(bind, [loopback.free_port()])
    assert caught.value.error_code == "DL0372"


def test_a_privileged_port_has_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
        raise OSError(errno.EACCES, "denied")

    monkeypatch.setattr(bound, "_socket", denied)
    with pytest.raises(errors.LocalError, match="belong to root") as caught:
        bound.listen("", [80])
    assert caught.value.error_code == "DL0371" and "8080:80" in caught.value.hint


@pytest.mark.parametrize(
    ("bind", "is_ours"),
    [("", True), ("localhost", True), ("127.0.0.2", True), ("::1", True), ("0.0.0.0", False), ("10.0.0.1", False)],
)
def test_loopbacks_are_known(bind: str, is_ours: bool) -> None:
    assert bound.is_loopback(bind) is is_ours
