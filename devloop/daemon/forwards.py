"""The ports of a watch: what is declared listens from its start to its end, and more as the command line asks.

`ports:` and `reverse:` of the services, `forwards:` of the project, `devloop ports add`, `devloop proxy`. Each is one
`Entry` with a task; here they are made, shown and taken away. How connections are carried is told by
`devloop.daemon.ways`, and done by `devloop.ports`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from devloop import errors
from devloop.config import model, values
from devloop.daemon import reverse, tunnel, ways
from devloop.ports import bound, hold, listener, proxy, tally, way
from devloop.sync import events, status

UNKNOWN_CODE: Final = "DL0373"

PROXY_PORT: Final = 1080
# Where nobody asked for a certain port, the first free one of so many.
PROXY_PORTS: Final = 20

Kind = Literal["ports", "forwards", "reverse", "proxy"]
Connect = Callable[[Callable[[], None]], contextlib.AbstractAsyncContextManager[ways.Cluster]]


@dataclasses.dataclass
class Entry:
    """One forward.

    Attributes:
        kind: What it is.
        service: Whose; empty for the project's.
        forward: What was declared.
        to: Where it leads, for people.
        added: By the command line.
        listener: What listens on the laptop; None for `reverse`, and for what is there already.
        reverse: What listens in the pods.
        known: Done when it listens or cannot, for the first time.
        task: What runs it.
    """

    kind: Kind
    service: str
    forward: values.Forward
    to: str
    added: bool = False
    listener: listener.Listener | None = None
    reverse: reverse.Reverse | None = None
    known: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def counts(self) -> tally.Tally:
        """What it has carried."""
        if self.listener is not None:
            return self.listener.counts
        return self.reverse.counts if self.reverse is not None else tally.Tally()

    @property
    def failure(self) -> errors.DevloopError | None:
        """Why it does not listen."""
        if self.listener is not None:
            return self.listener.failure
        return self.reverse.failure if self.reverse is not None else None

    @property
    def local(self) -> str:
        """Where it is on the laptop."""
        if self.listener is not None:
            return self.listener.address
        return values.local_told(self.forward)


class Forwards:
    """All forwards of a watch.

    Args:
        config: The project's.
        services: The services that are watched, by name.
        paths: How connections are carried.
        publish: Where events go.
        connect: Connects to the cluster's API; None where the project has none.
        hold_s: How long connections wait for a pod; None for what the project says.
    """

    def __init__(
        self,
        config: model.Config,
        services: Mapping[str, ways.Service],
        paths: ways.Ways,
        publish: Callable[[events.Event], None],
        connect: Connect | None = None,
        *,
        hold_s: float | None = None,
    ) -> None:
        self.entries: list[Entry] = []
        self._config = config
        self._services = services
        self._ways = paths
        self._publish = publish
        self._connect = connect
        self._signal = way.Signal()
        self._holder = hold.Holder(self._signal, hold_s=config.hold_s if hold_s is None else hold_s)
        self._watched: weakref.WeakSet[tunnel.Tunnel] = weakref.WeakSet()
        self._group: asyncio.TaskGroup | None = None

    # ---- life -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep what is declared listening until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for name in self._services:
                    spec = self._config.services[name]
                    for forward in spec.ports:
                        self._start(self._to_pod(name, forward))
                    for forward in spec.reverse:
                        self._start(self._from_pod(name, forward))
                for forward in self._config.forwards:
                    self._start(self._to_host(forward))
                if self._connect is not None:
                    await self._stay_connected(self._connect)
                await asyncio.get_running_loop().create_future()
            finally:
                self._group = None

    async def _stay_connected(self, connect: Connect) -> None:
        try:
            async with connect(self._signal.fire) as cluster:
                self._ways.cluster = cluster
                self._signal.fire()
                await asyncio.get_running_loop().create_future()
        except errors.KubeconfigError as error:
            # The services say so too; with agents on this machine there may be something left to carry.
            self._publish(
                events.Notice(level=events.Level.WARNING, message=error.message, hint=error.hint, code=error.error_code)
            )
        finally:
            self._ways.cluster = None

    def look(self) -> None:
        """Take up that agents or pods may be others. Called often, and cheap."""
        for one in self._services.values():
            for each in one.replicas.values():
                if each.tunnel not in self._watched:
                    self._watched.add(each.tunnel)
                    each.tunnel.watch(lambda _: self._signal.fire())
        self._signal.fire()

    # ---- what there is --------------------------------------------------------------------------------------

    def _to_pod(self, service: str, forward: values.Forward, *, added: bool = False) -> Entry:
        entry = Entry("ports", service, forward, f"pod port {forward.port}", added)
        if self._ways.is_local(service):
            entry.to = f"port {forward.port} of this machine"
            if forward.local_first <= forward.port <= forward.local_last:
                # The app listens there itself; two cannot.
                return entry
        self._listen(entry, listener.forwarding(lambda: self._ways.to_service(service, forward.port), self._holder))
        return entry

    def _to_host(self, forward: values.Forward, *, added: bool = False) -> Entry:
        entry = Entry("forwards", "", forward, f"{forward.host}:{forward.port}", added)
        self._listen(entry, listener.forwarding(lambda: self._ways.to_host(forward.host, forward.port), self._holder))
        return entry

    def _from_pod(self, service: str, forward: values.Forward) -> Entry:
        entry = Entry("reverse", service, forward, f"pod port {forward.port}")
        if not (self._ways.is_local(service) and forward.port == forward.local_first):
            one = self._services[service]
            entry.reverse = reverse.Reverse(forward, one.replicas, self._signal, lambda: self._tell(entry))
        return entry

    def _listen(self, entry: Entry, serve: listener.Serve) -> None:
        forward = entry.forward
        where = listener.Where(forward.bind, forward.local_first, forward.local_last)
        entry.listener = listener.Listener(where, serve, lambda: self._tell(entry))

    def _start(self, entry: Entry) -> None:
        if self._group is None:
            raise errors.LocalError("nothing is forwarded at the moment", hint="the watch is starting or ending")
        self.entries.append(entry)
        bind = entry.forward.bind
        if entry.listener is not None and not bound.is_loopback(bind):
            self._publish(
                events.Notice(
                    service=entry.service,
                    level=events.Level.WARNING,
                    message=f"everybody who reaches {bind} can use {entry.local} -> {entry.to}",
                    hint="leave the address out to keep it to this machine",
                )
            )
        runs: Coroutine[Any, Any, None] | None = None
        if entry.listener is not None:
            runs = entry.listener.run()
        elif entry.reverse is not None:
            runs = entry.reverse.run()
        if runs is None:
            self._tell(entry)
        else:
            entry.task = self._group.create_task(runs)

    def _tell(self, entry: Entry) -> None:
        """Tell that a forward listens, or cannot."""
        entry.known.set()
        error = entry.failure
        forward = entry.forward
        detail = error.message if error is not None else ""
        if error is None and forward.local_first != forward.local_last:
            detail = f"the first free one of {forward.local_first}-{forward.local_last}"
        self._publish(
            events.ForwardChanged(
                service=entry.service,
                kind=entry.kind,
                local=entry.local,
                to=entry.to,
                state=_declared_state(entry),
                detail=detail,
                hint=error.hint if error is not None else "",
                code=error.error_code if error is not None else "",
            )
        )

    # ---- what people ask ------------------------------------------------------------------------------------

    def rows(self) -> tuple[status.ForwardStatus, ...]:
        """Return the table that `devloop ports` shows."""
        return tuple(self._row(entry) for entry in self.entries)

    def _row(self, entry: Entry) -> status.ForwardStatus:
        counts, error = entry.counts, entry.failure
        return status.ForwardStatus(
            kind=entry.kind,
            service=entry.service,
            local=entry.local,
            to=entry.to,
            state=self._state(entry),
            by=counts.by,
            target=", ".join(sorted(entry.reverse.listening)) if entry.reverse is not None else counts.target,
            open=counts.open,
            held=counts.held,
            total=counts.total,
            sent_bytes=counts.traffic.sent_bytes,
            received_bytes=counts.traffic.received_bytes,
            error=error.message if error is not None else counts.error,
            code=error.error_code if error is not None else counts.code,
            added=entry.added,
        )

    def _state(self, entry: Entry) -> str:
        found = _declared_state(entry)
        if found != "listening" or entry.kind == "proxy":
            return found
        forward = entry.forward
        if entry.reverse is not None:
            return found if entry.reverse.listening else "waiting"
        there = (
            self._ways.to_service(entry.service, forward.port)
            if entry.kind == "ports"
            else self._ways.to_host(forward.host, forward.port)
        )
        return found if there else "waiting"

    async def add(self, text: str, service: str = "") -> Entry:
        """Forward one more port as long as the watch runs.

        Args:
            text: As in devloop.yaml, under `ports:` or `forwards:`.
            service: Whose pod, where it names only ports; the only service's by default.

        Raises:
            UsageError: It is none, or does not say whose pod.
            LocalError: The port is taken.
        """
        entry = self._entry(text, service)
        if entry.listener is not None and any(_clash(entry, other) for other in self.entries):
            raise errors.UsageError(
                f"{entry.local} is forwarded already", hint="`devloop ports` lists what is", code=UNKNOWN_CODE
            )
        await self._begin(entry)
        return entry

    async def _begin(self, entry: Entry) -> None:
        """Start a forward that somebody waits for: one that cannot listen is not kept."""
        self._start(entry)
        await entry.known.wait()
        if entry.failure is not None:
            failure = entry.failure
            await self._end(entry)
            raise failure

    def _entry(self, text: str, service: str) -> Entry:
        try:
            forward = values.pod_port(text)
        except values.BadValue as bad:
            if text.lower().endswith("/udp") or ":" not in text:
                raise errors.UsageError(str(bad), hint=bad.hint) from None
        else:
            return self._to_pod(self._whose(service), forward, added=True)
        try:
            return self._to_host(values.service_forward(text), added=True)
        except values.BadValue as bad:
            raise errors.UsageError(str(bad), hint=bad.hint) from None

    def _whose(self, service: str) -> str:
        if service in self._services:
            return service
        if not service and len(self._services) == 1:
            return next(iter(self._services))
        what = f"service {service!r} is not being watched" if service else "which service's pod is meant?"
        raise errors.UsageError(what, hint=f"--service {'|'.join(self._services) or 'NAME'}", code="DL0101")

    async def remove(self, text: str) -> list[tuple[str, str]]:
        """Forward a port no longer; connections that are open on it end.

        Args:
            text: The local port, or the address as the table shows it.

        Returns:
            Where each was, and where it led.

        Raises:
            UsageError: Nothing is forwarded there.
        """
        found = [entry for entry in self.entries if entry.kind != "proxy" and _is_at(entry, text)]
        if not found:
            known = ", ".join(entry.local for entry in self.entries) or "none"
            raise errors.UsageError(
                f"nothing is forwarded at {text}", hint=f"what is forwarded: {known}", code=UNKNOWN_CODE
            )
        return [(await self._end(entry), entry.to) for entry in found]

    async def _end(self, entry: Entry) -> str:
        """End a forward, and return where it was."""
        local = entry.local
        if entry.task is not None:
            entry.task.cancel()
            await asyncio.wait([entry.task])
        if entry in self.entries:
            self.entries.remove(entry)
        if entry.failure is None:
            self._publish(
                events.ForwardChanged(service=entry.service, kind=entry.kind, local=local, to=entry.to, state="removed")
            )
        return local

    @contextlib.asynccontextmanager
    async def proxied(self, ports: Sequence[int]) -> AsyncIterator[Entry]:
        """Offer a proxy as long as the block runs.

        Args:
            ports: The first and the last local port to try.

        Raises:
            LocalError: None is free.
        """
        forward = values.Forward(0, "", ports[0], ports[-1])
        entry = Entry("proxy", "", forward, "names and addresses of the cluster", added=True)
        serving = proxy.Proxy(lambda host, port: self._ways.to_host(host, port, confirm=True), self._holder)
        self._listen(entry, serving.serve)
        await self._begin(entry)
        try:
            yield entry
        finally:
            await self._end(entry)

    # ---- the control socket ---------------------------------------------------------------------------------

    def handlers(self) -> dict[str, Callable[[Mapping[str, Any]], Coroutine[Any, Any, Any]]]:
        """Return what answers the verbs."""
        return {"ports": self._list_asked, "ports-add": self._add_asked, "ports-rm": self._remove_asked}

    async def _list_asked(self, args: Mapping[str, Any]) -> Any:
        return msgspec.to_builtins(self.rows())

    async def _add_asked(self, args: Mapping[str, Any]) -> Any:
        added = [await self.add(str(text), str(args.get("service") or "")) for text in _texts(args)]
        return msgspec.to_builtins([self._row(entry) for entry in added])

    async def _remove_asked(self, args: Mapping[str, Any]) -> Any:
        gone = [each for text in _texts(args) for each in await self.remove(str(text))]
        return [{"local": local, "to": to} for local, to in gone]

    @contextlib.asynccontextmanager
    async def proxy_asked(self, args: Mapping[str, Any]) -> AsyncIterator[Any]:
        """Answer `proxy`: it is there as long as whoever asked is."""
        port = args.get("port")
        if port is not None and not (isinstance(port, int) and 0 < port <= 65535):
            raise errors.UsageError(f"{port} is not a port")
        ports = (port, port) if port else (PROXY_PORT, PROXY_PORT + PROXY_PORTS - 1)
        async with self.proxied(ports) as entry:
            assert entry.listener is not None
            yield {"host": "127.0.0.1", "port": entry.listener.port}


def _texts(args: Mapping[str, Any]) -> Iterable[object]:
    found = args.get("ports", ())
    return found if isinstance(found, list | tuple) else ()


def _declared_state(entry: Entry) -> str:
    if entry.failure is not None:
        return "failed"
    if entry.listener is None and entry.reverse is None:
        return "already there"
    return "listening"


def _clash(entry: Entry, other: Entry) -> bool:
    """Say whether two want the very same port; ranges find a free one."""
    if other.listener is None or entry.forward.local_first != entry.forward.local_last:
        return False
    return other.forward.bind == entry.forward.bind and other.listener.port == entry.forward.local_first


def _is_at(entry: Entry, text: str) -> bool:
    if entry.local == text:
        return True
    port = entry.listener.port if entry.listener is not None and entry.listener.port else entry.forward.local_first
    return text == str(port) or text == entry.local.rpartition(":")[2]
