"""Dialling on real sockets, with a resolver that says what the test wants."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from agent import dialler, dialrules
from devloop import errors
from devloop.core import allowlist

ZONE = "team.svc.cluster.local"


class Names:
    """A resolver: names to addresses, or to a name that they are aliases of."""

    def __init__(self, **known: tuple[str, ...] | str) -> None:
        self.known = {name.replace("_", "."): value for name, value in known.items()}
        self.reverse: dict[str, str] = {}
        self.asked: list[str] = []
        self.error: OSError | None = None
        self.hold: threading.Event | None = None

    def addresses(self, name: str) -> dialler.Answer | None:
        self.asked.append(name)
        if self.hold is not None:
            self.hold.wait(30)
        if self.error is not None:
            raise self.error
        value = self.known.get(name)
        if isinstance(value, str):
            found = self.addresses(value)
            return found and dialler.Answer(found.canonical, found.addresses)
        return None if value is None else dialler.Answer(name, value)

    def name(self, address: str) -> str:
        self.asked.append(address)
        return self.reverse.get(address, "")


@contextlib.contextmanager
def listening(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as server:
        yield server.getsockname()[1]


def make(names: Names, *allow: str, own_port: int = 0, services: dict[str, str] | None = None) -> dialler.Dialler:
    where = dialrules.Place("team", "cluster.local", (ZONE, "svc.cluster.local"), services or {}, own_port)
    return dialler.Dialler(where, [allowlist.parse(text) for text in allow], names)


@contextlib.asynccontextmanager
async def connected(subject: dialler.Dialler, host: str, port: int) -> AsyncIterator[str]:
    made, address = await subject.connect(host, port)
    with made:
        yield address
    subject.close()


async def refused(subject: dialler.Dialler, host: str, port: int = 80) -> errors.DialError:
    with pytest.raises(errors.DialError) as caught:
        await subject.connect(host, port)
    subject.close()
    return caught.value


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST."])
async def test_the_loopback_is_connected_to_without_asking_anybody(host: str) -> None:
    names = Names()
    with listening() as port:
        async with connected(make(names), host, port) as address:
            assert address == f"127.0.0.1:{port}"
    assert names.asked == []


async def test_localhost_is_also_what_listens_on_ipv6_only() -> None:
    with listening("::1") as port:
        async with connected(make(Names()), "localhost", port) as address:
            assert address == f"[::1]:{port}"


async def test_a_service_of_the_namespace_by_its_short_name() -> None:
    with listening("127.0.0.2") as port:
        async with connected(make(Names(**{f"db.{ZONE}": ("127.0.0.2",)})), "db", port) as address:
            assert address == f"127.0.0.2:{port}"


async def test_what_listens_nowhere_is_refused_as_a_port() -> None:
    with listening() as port:
        pass
    error = await refused(make(Names()), "127.0.0.1", port)
    assert error.why is errors.Refused.PORT


async def test_the_next_address_is_tried() -> None:
    with listening("127.0.0.3") as port:
        names = Names(**{f"db.{ZONE}": ("127.0.0.2", "127.0.0.3")})
        async with connected(make(names), "db", port) as address:
            assert address == f"127.0.0.3:{port}"


async def test_the_agents_own_port_is_refused_by_every_name() -> None:
    with listening() as port:
        for host in ("127.0.0.1", "localhost", "127.0.0.9", "db"):
            subject = make(Names(**{f"db.{ZONE}": ("127.0.0.1",)}), "0.0.0.0/0", own_port=port)
            assert (await refused(subject, host, port)).why is errors.Refused.RULE


async def test_an_unknown_name_is_said() -> None:
    error = await refused(make(Names()), "nope")
    assert error.why is errors.Refused.NAME
    assert "nope" in error.message


async def test_a_name_that_changes_after_the_decision_changes_nothing() -> None:
    """DNS rebinding: whoever answers an allowed address first answers the metadata's next."""

    class Rebinding(Names):
        def addresses(self, name: str) -> dialler.Answer | None:
            answers = ("127.0.0.2",) if not self.asked else ("169.254.169.254",)
            self.asked.append(name)
            return dialler.Answer(name, answers)

    names = Rebinding()
    with listening("127.0.0.2") as port:
        async with connected(make(names), "db", port) as address:
            assert address == f"127.0.0.2:{port}"
    assert names.asked == [f"db.{ZONE}"]


async def test_the_first_answer_is_judged_and_not_a_later_candidate() -> None:
    names = Names(**{f"db.other.{ZONE}": (), "db.other.svc.cluster.local": ("10.1.1.1",), "db.other": ("127.0.0.1",)})
    error = await refused(make(names), "db.other")
    assert error.why is errors.Refused.RULE
    assert "db.other.svc.cluster.local" in error.message


async def test_an_external_name_is_refused() -> None:
    known: dict[str, tuple[str, ...] | str] = {f"ext.{ZONE}": "evil.example", "evil.example": ("198.51.100.7",)}
    names = Names(**known)
    error = await refused(make(names), "ext")
    assert error.why is errors.Refused.RULE
    assert "alias of evil.example" in error.message


async def test_a_service_is_dialled_by_its_variable_where_there_is_no_dns() -> None:
    with listening("127.0.0.2") as port:
        async with connected(make(Names(), services={"MY_DB": "127.0.0.2"}), "my-db", port):
            pass


@pytest.mark.parametrize("fails", [True, False])
async def test_a_dns_that_is_not_there_is_asked_once_for_what_the_environment_knows(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    monkeypatch.setattr(dialler, "VARIABLE_AFTER_S", 0.05)
    names = Names()
    names.error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution") if fails else None
    names.hold = None if fails else threading.Event()
    subject = make(names, services={"DB": "127.0.0.2"})
    try:
        with listening("127.0.0.2") as port:
            for _ in range(3):
                made, _ = await subject.connect("db", port)
                made.close()
    finally:
        if names.hold is not None:
            names.hold.set()
        subject.close()
    assert names.asked[0] == f"db.{ZONE}"
    assert len([each for each in names.asked if each == f"db.{ZONE}"]) == 1


async def test_what_the_dns_knows_is_believed_before_the_environment() -> None:
    """The variable is from when the pod started: another service may have that address now."""
    with listening("127.0.0.3") as port:
        names = Names(**{f"db.{ZONE}": ("127.0.0.3",)})
        async with connected(make(names, services={"DB": "127.0.0.2"}), "db", port) as address:
            assert address == f"127.0.0.3:{port}"


async def test_an_address_counts_by_its_name_only_where_the_name_has_it() -> None:
    """Whoever owns an address writes its reverse name as they like."""
    lying = Names(**{f"db.{ZONE}": ("10.1.1.1",)})
    lying.reverse["198.51.100.7"] = f"db.{ZONE}"
    assert (await refused(make(lying), "198.51.100.7")).why is errors.Refused.RULE
    other = Names(**{"db.other.svc.cluster.local": ("198.51.100.7",)})
    other.reverse["198.51.100.7"] = "db.other.svc.cluster.local"
    assert (await refused(make(other), "198.51.100.7")).why is errors.Refused.RULE
    assert other.asked == ["198.51.100.7"]


async def test_an_address_of_a_service_of_the_namespace_may_be_dialled() -> None:
    names = Names(**{f"db.{ZONE}": ("192.0.2.1",)})
    names.reverse["192.0.2.1"] = f"db.{ZONE}"
    subject = make(names)
    found = await subject._resolved("192.0.2.1", 80)
    subject.close()
    assert [str(each) for each in dialrules.decide(found, 80, subject._where, ())] == ["192.0.2.1"]


@pytest.mark.parametrize("host", ["169.254.169.254", "::ffff:127.0.0.1", "0.0.0.0", "fe80::1%lo", "[::ffff:7f00:1]"])
async def test_what_is_never_dialled_is_not_even_looked_up(host: str) -> None:
    names = Names()
    with listening() as port:
        assert (await refused(make(names, "0.0.0.0/0", "[::/0]"), host, port)).why is errors.Refused.RULE
    assert names.asked == []


@pytest.mark.parametrize("host", ["0x7f000001", "2130706433", "127.1", "017700000001"])
async def test_odd_spellings_of_an_address_are_judged_by_what_they_come_to(host: str) -> None:
    with listening() as port:
        subject = dialler.Dialler(dialrules.Place(own_port=port), ())
        error = await refused(subject, host, port)
    assert error.why in (errors.Refused.RULE, errors.Refused.NAME)


async def test_a_dns_that_fails_is_not_an_unknown_name() -> None:
    names = Names()
    names.error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    error = await refused(make(names), "db")
    assert "Temporary failure" in error.message


async def test_a_dns_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialler, "RESOLVE_TIMEOUT_S", 0.05)
    names = Names()
    names.hold = threading.Event()
    try:
        assert "does not answer" in (await refused(make(names), "db")).message
    finally:
        names.hold.set()


async def test_an_address_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialler, "CONNECT_TIMEOUT_S", 0.2)
    monkeypatch.setattr(dialler, "NEXT_ADDRESS_S", 0.05)

    async def never(address: dialrules.Address, port: int) -> socket.socket:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    monkeypatch.setattr(dialler, "_connect_one", never)
    error = await refused(make(Names()), "localhost")
    assert error.why is errors.Refused.UNREACHABLE
    assert "does not answer" in error.message


def test_the_systems_resolver_knows_this_machine() -> None:
    system = dialler.System()
    assert system.addresses("no-such-name.invalid") is None or not system.addresses("no-such-name.invalid")
    assert isinstance(system.name("127.0.0.1"), str)


def test_what_a_pod_can_tell_of_itself_is_read() -> None:
    subject = dialler.from_pod(7070, ())
    assert subject._where.own_port == 7070
    subject.close()
