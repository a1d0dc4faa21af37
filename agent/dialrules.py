"""What the agent may dial: the rules, as functions of plain values.

A laptop asks for a name or an address; what is connected to is decided here, in the pod, on what that came to. Allowed
are the pod's own loopback and the services of the pod's own namespace, and what Ops list in `--allow-dial`. Some
addresses are refused whatever a list says: link-local, multicast and unspecified ones, those of cloud metadata, forms
of IPv6 that hide an IPv4 address, and the port on which the agent itself listens.

How the namespace is known without asking Kubernetes: the kubelet writes `search <namespace>.svc.<cluster domain> …`
into the pod's /etc/resolv.conf. A service of the namespace is a name that ends with the first of these, also under the
name that the DNS finds behind it: an ExternalName service is an alias, and where that leads out it is refused. The
kubelet also sets `NAME_SERVICE_HOST` for the services that were there when the pod started.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from devloop import errors
from devloop.core import allowlist

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WHO: Final = "Ops can widen it: `allowDial` in the chart's values, `--allow-dial` of the agent (docs/install-ops.md)"

_METADATA: Final = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, GCP, OpenStack, DigitalOcean, Oracle
        "169.254.170.2",  # AWS, tasks
        "169.254.170.23",  # AWS, EKS pod identity
        "fd00:ec2::254",  # AWS over IPv6
        "fd00:ec2::23",  # AWS, EKS pod identity over IPv6
        "fd20:ce::254",  # GCP over IPv6
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle, the old one
        "168.63.129.16",  # Azure, the host's agent
    )
)

# IPv6 networks that stand for IPv4 addresses: mapped, compatible, translated (RFC 2765, 6052, 8215), 6to4, Teredo.
_HIDING: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "::ffff:0:0/96",
        "::/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
    )
)

_SEARCH: Final = re.compile(r"(?P<namespace>[a-z0-9]([-a-z0-9]*[a-z0-9])?)\.svc\.(?P<domain>[-a-z0-9.]+)")

_NDOTS: Final = 5
"""What the kubelet writes: a name with fewer dots is looked for in the search domains first."""


class Place(msgspec.Struct, frozen=True):
    """Where the pod is, as far as it can tell itself.

    Attributes:
        namespace: Its namespace; empty where that is unknown.
        domain: The cluster's domain, such as `cluster.local`; empty where it is unknown.
        search: The search domains, in order.
        services: Addresses of the namespace's services by `NAME` of `NAME_SERVICE_HOST`.
        own_port: Where the agent listens on the loopback; 0 for nowhere.
    """

    namespace: str = ""
    domain: str = ""
    search: tuple[str, ...] = ()
    services: dict[str, str] = {}
    own_port: int = 0

    @property
    def zone(self) -> str:
        """What the names of the namespace's services end with; empty where it is unknown."""
        return f".{self.namespace}.svc.{self.domain}" if self.namespace else ""


def place(resolv_conf: str, environ: Mapping[str, str], own_port: int) -> Place:
    """Return where the pod is.

    Args:
        resolv_conf: Content of /etc/resolv.conf.
        environ: The agent's environment.
        own_port: Where the agent listens; 0 for nowhere.
    """
    search: tuple[str, ...] = ()
    for line in resolv_conf.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "search":
            search = tuple(domain.rstrip(".").lower() for domain in rest.split())
    found = next(filter(None, map(_SEARCH.fullmatch, search)), None)
    namespace, domain = (found["namespace"], found["domain"]) if found else ("", "")
    suffix = "_SERVICE_HOST"
    services = {
        name.removesuffix(suffix): value
        for name, value in environ.items()
        # Every pod is told where the API server is, which is a service of the namespace `default`.
        if name.endswith(suffix) and (name != f"KUBERNETES{suffix}" or namespace == "default") and _literal(value)
    }
    return Place(namespace, domain, search, services, own_port)


# ---- names -----------------------------------------------------------------------------------------------------------


def literal(host: str) -> Address | None:
    """Return the address that a host is, or None where it is a name.

    Raises:
        DialError: It is an address with a zone, which only this pod's interfaces have.
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if "%" in bare:
        raise refused(host, "it names an interface of the pod")
    return _literal(bare)


def _literal(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def is_localhost(host: str) -> bool:
    """Say whether a name is the pod's own (RFC 6761): it is never asked of a DNS."""
    return host.lower().rstrip(".") == "localhost"


def candidates(host: str, where: Place) -> list[str]:
    """Return the full names to look for, in the order in which the pod's own programs would.

    Raises:
        DialError: It is no name.
    """
    name = host.lower()
    if not allowlist.is_name(name.removesuffix(".")):
        raise errors.DialError(f"{host!r} is no name", why=errors.Refused.NAME)
    if name.endswith("."):
        return [name.removesuffix(".")]
    found = [f"{name}.{domain}" for domain in where.search]
    return [*found, name] if name.count(".") < _NDOTS else [name, *found]


def service_variable(host: str, where: Place) -> str:
    """Return the address that the agent's environment has for a service of its namespace; empty where it has none."""
    name = host.lower().rstrip(".")
    if where.namespace:
        for suffix in (where.zone, f".{where.namespace}.svc", f".{where.namespace}"):
            name = name.removesuffix(suffix)
    return "" if "." in name else where.services.get(name.upper().replace("-", "_"), "")


# ---- decisions -------------------------------------------------------------------------------------------------------


class Resolved(msgspec.Struct, frozen=True):
    """What a host came to.

    Attributes:
        host: As it was asked.
        name: The full name that was found; empty for an address.
        canonical: What that is an alias of, or itself.
        addresses: Its addresses, in order.
        from_environment: The address is that of a service in the agent's environment.
    """

    host: str
    name: str
    canonical: str
    addresses: tuple[Address, ...]
    from_environment: bool = False


def is_settled(address: Address, port: int, where: Place, allow: Sequence[allowlist.Allowed]) -> bool:
    """Say whether an address is refused or allowed whatever its name is, so that nobody needs to be asked for that."""
    nameless = Resolved(str(address), "", "", (address,))
    return bool(_never(address, port, where)) or not _not_allowed(nameless, address, port, where, allow)


def decide(found: Resolved, port: int, where: Place, allow: Sequence[allowlist.Allowed]) -> list[Address]:
    """Return the addresses that may be connected to, in order.

    Raises:
        DialError: None may; which rule says so.
    """
    kept: list[Address] = []
    refusal: errors.DialError | None = None
    for address in found.addresses:
        why = _never(address, port, where) or _not_allowed(found, address, port, where, allow)
        if why:
            refusal = refusal or refused(f"{found.host}:{port}", why)
        else:
            kept.append(address)
    if kept:
        return kept
    raise refusal or errors.DialError(f"{found.host} has no address", why=errors.Refused.NAME)


def refused(what: str, why: str) -> errors.DialError:
    """Return the error for what may not be dialled."""
    hint = WHO if "may be dialled" in why else "this is so in every installation"
    return errors.DialError(f"the agent does not dial {what}: {why}", hint=hint, why=errors.Refused.RULE)


def _never(address: Address, port: int, where: Place) -> str:
    """Return why an address is refused whatever a list allows; empty where it is not."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return f"{address} names an interface of the pod"
        if not address.is_loopback and any(address in network for network in _HIDING):
            return f"{address} is an IPv4 address in disguise"
    if address in _METADATA:
        return f"{address} is where clouds keep credentials"
    if address.is_link_local:
        return f"{address} is link-local"
    if address.is_unspecified or (isinstance(address, ipaddress.IPv4Address) and int(address) >> 24 == 0):
        return f"{address} is no address of anything"
    if address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        return f"{address} is multicast or broadcast"
    if address.is_loopback and port == where.own_port:
        return f"port {port} of the pod's loopback is the agent's own"
    return ""


def _not_allowed(found: Resolved, address: Address, port: int, where: Place, allow: Sequence[allowlist.Allowed]) -> str:
    """Return why an address is beyond what is allowed; empty where it is not."""
    if address.is_loopback or found.from_environment or _is_own(found, where):
        return ""
    if any(_matches(entry, found, address, port, where) for entry in allow):
        return ""
    if not where.namespace:
        return (
            f"{address} is not the pod's loopback, and the pod's DNS does not say which namespace it is in: nothing "
            "else may be dialled"
        )
    if found.name and found.name.endswith(where.zone):
        return f"it is an alias of {found.canonical}; only services of the namespace {where.namespace} may be dialled"
    what = found.name or str(address)
    return f"{what} is no service of the namespace {where.namespace}; only those and the pod itself may be dialled"


def _is_own(found: Resolved, where: Place) -> bool:
    """Say whether it is a service of the pod's namespace, also under the name that it is an alias of."""
    return bool(where.zone) and found.name.endswith(where.zone) and found.canonical.endswith(where.zone)


def _matches(entry: allowlist.Allowed, found: Resolved, address: Address, port: int, where: Place) -> bool:
    if entry.port and entry.port != port:
        return False
    if entry.network:
        network: Network = ipaddress.ip_network(entry.network)
        return address.version == network.version and address in network
    if not found.name:
        return False
    inside = f".svc.{where.domain}" if where.domain else ""
    if inside and found.name.endswith(inside):
        # What is allowed by the name of a namespace must not lead out of it by an alias.
        return all(_is_like(entry.name, name, inside) for name in (found.name, found.canonical))
    return _is_like(entry.name, found.name, "")


def _is_like(pattern: str, name: str, inside: str) -> bool:
    """Say whether a full name is what a pattern says; within the cluster also without the end of it."""
    names = {name}
    if inside and name.endswith(inside):
        short = name.removesuffix(inside)
        names |= {short, f"{short}.svc"}
    if not pattern.startswith("*."):
        return pattern in names
    return any(each.partition(".")[2] == pattern[2:] for each in names)
