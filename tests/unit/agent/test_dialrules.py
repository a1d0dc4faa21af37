"""The rules of dialling: what is allowed, what never is, and who is told."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import dialrules
from devloop import errors
from devloop.core import allowlist

RESOLV = """\
# written by the kubelet
nameserver 10.96.0.10
search team.svc.cluster.local svc.cluster.local cluster.local corp.example
options ndots:5
"""

POD = dialrules.place(RESOLV, {"DB_SERVICE_HOST": "10.96.7.7", "KUBERNETES_SERVICE_HOST": "10.96.0.1"}, 7070)


def found(name: str, *addresses: str, canonical: str = "") -> dialrules.Resolved:
    return dialrules.Resolved(
        name or addresses[0], name, canonical or name, tuple(ipaddress.ip_address(each) for each in addresses)
    )


def allowed(what: dialrules.Resolved, *allow: str, port: int = 80, where: dialrules.Place = POD) -> list[str]:
    entries = [allowlist.parse(text) for text in allow]
    return [str(each) for each in dialrules.decide(what, port, where, entries)]


def refusal(what: dialrules.Resolved, *allow: str, port: int = 80, where: dialrules.Place = POD) -> errors.DialError:
    with pytest.raises(errors.DialError) as caught:
        allowed(what, *allow, port=port, where=where)
    assert caught.value.why is errors.Refused.RULE
    assert caught.value.hint
    return caught.value


# ---- where the pod is


def test_the_namespace_is_in_the_first_search_domain_that_names_one() -> None:
    assert (POD.namespace, POD.domain, POD.zone) == ("team", "cluster.local", ".team.svc.cluster.local")
    assert POD.services == {"DB": "10.96.7.7"}
    later = dialrules.place("search corp.example team.svc.k8s.corp. other.svc.k8s.corp", {}, 0)
    assert (later.namespace, later.domain) == ("team", "k8s.corp")


def test_the_last_search_line_counts() -> None:
    assert dialrules.place("search a.svc.c\nsearch b.svc.c\n", {}, 0).namespace == "b"


@pytest.mark.parametrize(
    "text", ["", "nameserver 1.1.1.1", "search corp.example", "search svc.cluster.local", "search"]
)
def test_elsewhere_there_is_no_namespace(text: str) -> None:
    where = dialrules.place(text, {}, 0)
    assert where.namespace == where.zone == ""
    assert "nothing else may be dialled" in refusal(found("a.svc.cluster.local", "10.0.0.1"), where=where).message
    assert allowed(found("", "127.0.0.1"), where=where)


def test_the_api_server_is_no_service_of_the_namespace() -> None:
    assert "KUBERNETES" not in POD.services
    default = dialrules.place("search default.svc.cluster.local", {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, 0)
    assert default.services == {"KUBERNETES": "10.96.0.1"}


def test_variables_that_hold_no_address_are_passed_over() -> None:
    assert dialrules.place(RESOLV, {"A_SERVICE_HOST": "evil.example", "B_SERVICE_PORT": "1"}, 0).services == {}


# ---- names


def test_names_are_looked_for_as_the_pod_would() -> None:
    assert dialrules.candidates("db", POD) == [
        "db.team.svc.cluster.local", "db.svc.cluster.local", "db.cluster.local", "db.corp.example", "db",
    ]  # fmt: skip
    assert dialrules.candidates("DB.team.svc.cluster.local.", POD) == ["db.team.svc.cluster.local"]
    assert dialrules.candidates("a.b.c.d.e.f", POD)[0] == "a.b.c.d.e.f"


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "-a", "a-", "a b", "a/b", "a\0", "x" * 64, "a." * 127 + "b", "[::1]:1"]
)
def test_what_is_no_name_is_not_looked_up(name: str) -> None:
    with pytest.raises(errors.DialError) as caught:
        dialrules.candidates(name, POD)
    assert caught.value.why is errors.Refused.NAME


@pytest.mark.parametrize("name", ["db", "DB", "db.team", "db.team.svc", "db.team.svc.cluster.local", "db."])
def test_a_service_is_known_by_its_variable(name: str) -> None:
    assert dialrules.service_variable(name, POD) == "10.96.7.7"


@pytest.mark.parametrize("name", ["db.other", "db.other.svc", "x", "kubernetes", "db.corp.example"])
def test_another_is_not(name: str) -> None:
    assert dialrules.service_variable(name, POD) == ""


@pytest.mark.parametrize("name", ["localhost", "LocalHost", "localhost."])
def test_localhost_is_nobodys_to_say(name: str) -> None:
    assert dialrules.is_localhost(name)
    assert not dialrules.is_localhost("localhost.evil.example")


@pytest.mark.parametrize("host", ["fe80::1%eth0", "[fe80::1%1]", "::1%lo"])
def test_an_address_with_a_zone_is_refused(host: str) -> None:
    with pytest.raises(errors.DialError, match="interface"):
        dialrules.literal(host)


def test_addresses_are_told_from_names() -> None:
    assert dialrules.literal("[::1]") == ipaddress.ip_address("::1")
    assert dialrules.literal("10.1.2.3") == ipaddress.ip_address("10.1.2.3")
    # Forms that inet_aton(3) takes are names here, and resolve to whatever they do: the result is judged.
    for odd in ("127.1", "0x7f000001", "2130706433", "010.0.0.1", "db"):
        assert dialrules.literal(odd) is None


# ---- what is allowed


@pytest.mark.parametrize("address", ["127.0.0.1", "127.3.2.1", "::1"])
def test_the_pods_loopback_is_allowed_but_for_the_agents_port(address: str) -> None:
    assert allowed(found("", address)) == [address]
    assert "the agent's own" in refusal(found("", address), "127.0.0.0/8", "::1", port=7070).message


def test_services_of_the_namespace_are_allowed() -> None:
    assert allowed(found("db.team.svc.cluster.local", "10.96.7.7", "fd00::7")) == ["10.96.7.7", "fd00::7"]
    assert allowed(found("web-0.web.team.svc.cluster.local", "10.1.1.1")) == ["10.1.1.1"]
    by_variable = dialrules.Resolved("db", "", "", (ipaddress.ip_address("10.96.7.7"),), from_environment=True)
    assert allowed(by_variable) == ["10.96.7.7"]


def test_those_of_another_are_not_and_it_is_said_who_can_change_that() -> None:
    error = refusal(found("db.other.svc.cluster.local", "10.96.9.9"))
    assert "db.other.svc.cluster.local is no service of the namespace team" in error.message
    assert "allowDial" in error.hint


@pytest.mark.parametrize(
    "name",
    ["evilteam.svc.cluster.local", "team.svc.cluster.local", "x.evil-team.svc.cluster.local",
     "a.team.svc.cluster.local.evil.example"],
)  # fmt: skip
def test_a_name_that_only_looks_like_one_is_not(name: str) -> None:
    refusal(found(name, "10.96.9.9"))


@pytest.mark.parametrize(
    "canonical", ["db.example.com", "secret.other.svc.cluster.local", "kubernetes.default.svc.cluster.local"]
)
def test_an_alias_that_leads_out_is_refused(canonical: str) -> None:
    error = refusal(found("db.team.svc.cluster.local", "10.9.9.9", canonical=canonical))
    assert f"alias of {canonical}" in error.message


def test_an_alias_within_the_namespace_is_allowed() -> None:
    assert allowed(found("db.team.svc.cluster.local", "10.9.9.9", canonical="pg.team.svc.cluster.local"))


# ---- what never is

NEVER = [
    "169.254.169.254", "169.254.170.2", "169.254.1.1", "fe80::1", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200",
    "192.0.0.192", "168.63.129.16", "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.1.1.1", "ff02::1", "255.255.255.255",
    "::ffff:169.254.169.254", "::ffff:127.0.0.1", "::ffff:10.96.7.7", "::127.0.0.1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::1", "::ffff:0:169.254.169.254", "fe80::1%eth0",
]  # fmt: skip


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_refused_whatever_is_allowed(address: str) -> None:
    for what in (found("", address), found("db.team.svc.cluster.local", address)):
        error = refusal(what, "0.0.0.0/0", "[::/0]", "*.team", "db.team")
        assert "every installation" in error.hint


def test_of_several_addresses_only_the_allowed_ones_are_connected_to() -> None:
    assert allowed(found("db.team.svc.cluster.local", "169.254.169.254", "10.96.7.7")) == ["10.96.7.7"]


@given(st.ip_addresses())
def test_nothing_but_the_loopback_is_allowed_without_a_name(address: dialrules.Address) -> None:
    try:
        decided = dialrules.decide(found("", str(address)), 80, POD, ())
    except errors.DialError:
        return
    assert [each.is_loopback for each in decided] == [True]


@given(st.ip_addresses())
def test_everything_allowed_is_still_no_way_to_the_metadata(address: dialrules.Address) -> None:
    entries = [allowlist.parse("0.0.0.0/0"), allowlist.parse("[::/0]")]
    try:
        (decided,) = dialrules.decide(found("", str(address)), 80, POD, entries)
    except errors.DialError:
        return
    assert not (decided.is_link_local or decided.is_multicast or decided.is_unspecified)
    assert getattr(decided, "ipv4_mapped", None) is None


# ---- the allow list


@pytest.mark.parametrize(
    ("entry", "name", "address", "port"),
    [
        ("*.other", "db.other.svc.cluster.local", "10.1.1.1", 80),
        ("*.other.svc", "db.other.svc.cluster.local", "10.1.1.1", 80),
        ("*.other.svc.cluster.local", "db.other.svc.cluster.local", "10.1.1.1", 80),
        ("db.other:80", "db.other.svc.cluster.local", "10.1.1.1", 80),
        ("db.example.com", "db.example.com", "198.51.100.7", 5432),
        ("*.example.com", "db.example.com", "198.51.100.7", 5432),
        ("10.0.0.0/8:5432", "", "10.200.1.1", 5432),
        ("10.1.2.3", "", "10.1.2.3", 1),
        ("10.0.0.0/8", "anything.example.com", "10.1.1.1", 80),
        ("[fd00::/8]:443", "", "fd12::1", 443),
        ("[fd00::/8]", "", "fd12::1", 1),
        ("fd00::/8", "", "fd12::1", 1),
    ],
)
def test_the_list_widens_it(entry: str, name: str, address: str, port: int) -> None:
    what = found(name, address)
    refusal(what, port=port)
    assert allowed(what, entry, port=port) == [address]


@pytest.mark.parametrize(
    ("entry", "name", "address", "port"),
    [
        ("*.other", "db.third.svc.cluster.local", "10.1.1.1", 80),
        ("*.other", "a.db.other.svc.cluster.local", "10.1.1.1", 80),
        ("*.other", "db.other.evil.example", "10.1.1.1", 80),
        ("db.other:80", "db.other.svc.cluster.local", "10.1.1.1", 81),
        ("*.example.com", "example.com", "198.51.100.7", 80),
        ("example.com", "db.example.com", "198.51.100.7", 80),
        ("10.0.0.0/8:5432", "", "10.1.1.1", 80),
        ("10.0.0.0/8", "", "11.1.1.1", 80),
        ("10.0.0.0/8", "", "::a00:1", 80),
    ],
)
def test_and_only_that(entry: str, name: str, address: str, port: int) -> None:
    refusal(found(name, address), entry, port=port)


def test_an_alias_does_not_lead_out_of_a_namespace_that_is_listed() -> None:
    what = found("x.other.svc.cluster.local", "10.1.1.1", canonical="x.third.svc.cluster.local")
    refusal(what, "*.other")
    assert allowed(found("x.example.com", "10.1.1.1", canonical="cdn.example.net"), "x.example.com")


def test_an_address_that_is_settled_needs_no_name() -> None:
    ten = [allowlist.parse("10.0.0.0/8")]
    for text, settled in {"127.0.0.1": True, "169.254.169.254": True, "10.1.1.1": True, "11.1.1.1": False}.items():
        assert dialrules.is_settled(ipaddress.ip_address(text), 80, POD, ten) is settled
