"""Which pods get a replica and when it ends, against an API server that says what the test wants."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import pytest
from aiohttp import web

from devloop import errors
from devloop.config import model
from devloop.daemon import podwatch, replica
from devloop.kube import client, pods
from devloop.sync import events
from tests.unit.kube import fake_api, test_pods

PODS = "/api/v1/namespaces/dev/pods"
WORKLOAD = "/apis/apps/v1/namespaces/dev/deployments/web"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def raw(name: str = "web-5d-a", **how: Any) -> dict[str, Any]:
    return {**test_pods.raw(name, **how)}


def pod(name: str = "web-5d-a", **how: Any) -> pods.Pod:
    return pods.view(raw(name, **how))


# ---- deciding ---------------------------------------------------------------------------------------------------


def test_a_pod_with_an_agent_gets_a_replica_whether_the_agent_runs_yet_or_not() -> None:
    found = podwatch.decide([pod("a"), pod("b", agent={}), pod("c", ready=False)], {})
    assert [each.name for each in found.fresh] == ["a", "b", "c"]
    assert (found.gone, found.stragglers) == ((), {})
    assert found.states == {"a": "ready", "b": "the agent waits: not started yet", "c": "not ready"}


def test_a_pod_without_an_agent_is_named() -> None:
    found = podwatch.decide([pod("a"), pod("b", agent=None)], {"a": "uid-a"})
    assert (found.fresh, found.stragglers) == ((), {"b": "no agent in it"})


def test_a_replica_ends_with_its_pod() -> None:
    ended = {**raw("c"), "status": {"phase": "Succeeded"}}
    found = podwatch.decide([pod("b", terminating=True), pods.view(ended)], {"a": "1", "b": "uid-b", "c": "uid-c"})
    assert (found.gone, found.fresh, found.states) == (("a", "b", "c"), (), {})


def test_another_pod_of_the_same_name_is_another_replica() -> None:
    found = podwatch.decide([pod("db-0")], {"db-0": "the uid of the one before"})
    assert (found.gone, [each.name for each in found.fresh]) == (("db-0",), ["db-0"])


# ---- following --------------------------------------------------------------------------------------------------


class Owner:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.acts: list[str] = []
        self.states: Mapping[str, str] = {}
        self.trouble = ""
        self.notices: list[events.Notice] = []
        self.more = asyncio.Event()

    def add_replica(self, target: replica.Target, *, vital: bool = False) -> None:
        self.acts.append(f"+{target.name}")
        self.more.set()

    async def remove_replica(self, name: str) -> None:
        self.acts.append(f"-{name}")
        self.more.set()

    def set_pods(self, states: Mapping[str, str]) -> None:
        self.states = dict(states)
        self.more.set()

    def set_trouble(self, why: str) -> None:
        self.trouble = why
        self.more.set()

    def publish(self, event: events.Event) -> None:
        assert isinstance(event, events.Notice)
        self.notices.append(event)
        self.more.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.more.clear()
                await self.more.wait()


class Rung:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.holding = False
        self.seen: list[list[str]] = []

    @contextlib.asynccontextmanager
    async def held(self, api: client.Client, namespace: str) -> AsyncIterator[None]:
        self.holding = True
        try:
            yield
        finally:
            self.holding = False

    def look(self, there: Iterable[Mapping[str, Any]]) -> None:
        assert self.holding
        self.seen.append(sorted(each["metadata"]["name"] for each in there))


class Stream:
    """What the watch of the pods says, when the test says so."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()

    def say(self, kind: str, found: object) -> None:
        self.lines.put_nowait(fake_api.event(kind, found))

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while (line := await self.lines.get()) is not None:
            await response.write(line)
        return response


class Bench:
    def __init__(self, server: fake_api.FakeApi, *, once: bool = False, **spec: Any) -> None:
        self.server = server
        self.owner = Owner()
        self.stream = Stream()
        self.denied: set[str] = set()
        self.minor = "20"
        about = spec or {"workload": "deployment/web"}
        self.spec = model.Service.model_validate({**about, "sync": [{"from": "/laptop/web", "to": "/app"}]})
        self.rung = Rung()
        self.watch = podwatch.PodWatch(self.spec, self.client, self.owner, self.owner.publish, self.rung, once=once)
        server.on("GET", WORKLOAD, fake_api.giving({"spec": {"selector": {"matchLabels": {"app": "web"}}}}))
        server.on("GET", "/version", self.version)
        server.on("POST", REVIEWS, self.review)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[client.Client]:
        async with client.connect(self.server.cluster()) as api:
            yield api

    async def version(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"major": "1", "minor": self.minor})

    async def review(self, request: web.Request) -> web.StreamResponse:
        asked = (await request.json())["spec"]["resourceAttributes"]
        words = f"{asked['verb']} {asked.get('subresource', 'pods')}"
        return web.json_response({"status": {"allowed": words not in self.denied}})

    def there(self, *found: dict[str, Any]) -> None:
        listing = {"items": list(found), "metadata": {"resourceVersion": "1"}}

        async def answer(request: web.Request) -> web.StreamResponse:
            if "watch" in request.query:
                return await self.stream(request)
            return web.json_response(listing)

        self.server.on("GET", PODS, answer)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Owner]:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            task = group.create_task(self.watch.run())
            yield self.owner
            task.cancel()
            self.stream.lines.put_nowait(None)

    async def ended(self) -> errors.DevloopError:
        with pytest.raises(errors.DevloopError) as caught:
            async with asyncio.timeout(20):
                await self.watch.run()
        return caught.value


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with fake_api.serving() as server:
        yield Bench(server)


async def test_pods_that_come_and_go_are_followed(bench: Bench) -> None:
    bench.there(raw("web-5d-a"), raw("stranger", created="x") | {"metadata": {"name": "stranger", "uid": "s"}})
    async with bench.running() as owner:
        await owner.until(lambda: owner.acts == ["+web-5d-a"])
        bench.stream.say("ADDED", raw("web-5d-b", agent={}))
        await owner.until(lambda: owner.acts[-1] == "+web-5d-b")
        assert bench.watch.serving is not None and bench.watch.serving.name == "web-5d-a"
        bench.stream.say("MODIFIED", raw("web-5d-a", terminating=True))
        await owner.until(lambda: owner.acts[-1] == "-web-5d-a")
        bench.stream.say("DELETED", raw("web-5d-a", terminating=True))
        bench.stream.say("MODIFIED", raw("web-5d-b"))
        await owner.until(lambda: owner.states == {"web-5d-b": "ready"})
        assert owner.acts == ["+web-5d-a", "+web-5d-b", "-web-5d-a"]
        assert bench.watch.serving.name == "web-5d-b"
    assert bench.server.requests[-1].query["labelSelector"] == "app=web"


async def test_a_service_of_labels_takes_whatever_has_them() -> None:
    async with fake_api.serving() as server:
        bench = Bench(server, selector={"app": "web"})
        alone = raw("alone")
        del alone["metadata"]["ownerReferences"]
        bench.there(alone)
        async with bench.running() as owner:
            await owner.until(lambda: owner.acts == ["+alone"])


async def test_nobody_to_sync_to_is_told_once_and_why(bench: Bench) -> None:
    bench.there(raw("web-5d-a", agent=None))
    async with bench.running() as owner:
        await owner.until(lambda: len(owner.notices) == 1)
        assert owner.notices[0].message == "no pod of deployment/web has an agent: web-5d-a (no agent in it)"
        assert owner.notices[0].code == "DL0760"
        bench.stream.say("MODIFIED", raw("web-5d-a", agent=None))
        bench.stream.say("DELETED", raw("web-5d-a", agent=None))
        await owner.until(lambda: len(owner.notices) == 2)
        assert owner.notices[1].message == "deployment/web has no pods"
        bench.stream.say("ADDED", raw("web-5d-b"))
        await owner.until(lambda: owner.acts == ["+web-5d-b"])


async def test_a_workload_that_is_not_there_is_an_error_with_near_names(bench: Bench) -> None:
    bench.server.on("GET", WORKLOAD, fake_api.refusing(404, "not found", "NotFound"))
    bench.server.on("GET", WORKLOAD.rpartition("/")[0], fake_api.listing("web-api", "worker"))
    error = await bench.ended()
    assert isinstance(error, errors.NotThereError)
    assert "web-api" in error.hint


@pytest.mark.parametrize("right", ["list pods", "watch pods", "get exec", "get portforward"])
async def test_a_missing_right_is_told_before_anything_is_tried(bench: Bench, right: str) -> None:
    bench.denied = {right}
    error = await bench.ended()
    assert isinstance(error, errors.ForbiddenError)
    assert error.exit_status is errors.Exit.AUTH
    verb, what = right.split()
    assert f"you may not {verb} pods{'/' + what if what != 'pods' else ''} in namespace dev" in error.message
    assert f"kubectl auth can-i {verb} pods" in error.hint


@pytest.mark.parametrize(("minor", "refused"), [("34", False), ("35+", True)])
async def test_create_is_needed_for_websockets_since_1_35_only(bench: Bench, minor: str, refused: bool) -> None:
    bench.minor, bench.denied = minor, {"create exec"}
    if refused:
        assert "create pods/exec" in (await bench.ended()).message
        return
    bench.there(raw())
    async with bench.running() as owner:
        await owner.until(lambda: owner.acts == ["+web-5d-a"])


async def test_a_watch_that_fails_is_told_and_goes_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.there(raw())
    listed = {"items": [raw()], "metadata": {"resourceVersion": "1"}}
    tries = 0

    async def flaky(request: web.Request) -> web.StreamResponse:
        nonlocal tries
        if "watch" not in request.query:
            return web.json_response(listed)
        tries += 1
        return fake_api.status(503, "starting", "ServiceUnavailable") if tries == 1 else await bench.stream(request)

    bench.server.on("GET", PODS, flaky)
    async with bench.running() as owner:
        await owner.until(lambda: bool(owner.notices))
        assert "the pods cannot be followed" in owner.notices[0].message
        bench.stream.say("ADDED", raw("web-5d-b"))
        await owner.until(lambda: "+web-5d-b" in owner.acts)
    assert "-web-5d-a" not in owner.acts


async def test_the_target_of_a_pod_learns_when_its_agent_runs(bench: Bench) -> None:
    bench.there(raw("web-5d-a", agent={}))
    async with bench.running() as owner:
        await owner.until(lambda: bool(owner.acts))
        target = bench.watch._targets["web-5d-a"]
        assert not target.pod.is_usable
        bench.stream.say("MODIFIED", raw("web-5d-a"))
        await owner.until(lambda: owner.states == {"web-5d-a": "ready"})
        assert target.pod.is_usable


# ---- nobody to sync to ------------------------------------------------------------------------------------------

EVENTS = "/api/v1/namespaces/dev/events"


def pulling(name: str = "web-5d-a") -> dict[str, Any]:
    return raw(name, agent=test_pods.PULLING)


def tells(server: fake_api.FakeApi, message: str, reason: str = "Failed") -> None:
    found = {"reason": reason, "message": message, "involvedObject": {"name": "web-5d"}}
    server.on("GET", EVENTS, fake_api.giving({"items": [found], "metadata": {}}))


async def test_an_image_that_cannot_be_pulled_is_told_at_once_with_the_events_words(bench: Bench) -> None:
    bench.there(pulling())
    tells(bench.server, "Failed to pull image x: no such host")
    async with bench.running() as owner:
        await owner.until(lambda: bool(owner.notices))
        (told,) = owner.notices
        assert told.code == "DL0761" and "imagePullSecrets" in told.hint
        assert told.message == (
            "web-5d-a does not start: devloop-agent: ImagePullBackOff: no such image"
            " (Failed to pull image x: no such host)"
        )
        # It goes on: the agent may come after all.
        bench.stream.say("MODIFIED", raw("web-5d-a"))
        await owner.until(lambda: owner.states == {"web-5d-a": "ready"})


async def test_a_pod_that_gets_an_agent_within_a_moment_is_no_news(bench: Bench) -> None:
    bench.there(raw(agent=None))
    async with bench.running() as owner:
        await owner.until(lambda: owner.states == {"web-5d-a": "no agent in it"})
        # as a rung does that attaches
        bench.stream.say("MODIFIED", raw(rung="ephemeralContainers"))
        await owner.until(lambda: owner.states == {"web-5d-a": "ready"})
        assert owner.notices == []


async def test_what_the_state_says_already_is_not_said_twice(bench: Bench) -> None:
    bench.there(raw(agent={"waiting": {"reason": "ErrImagePull", "message": "rpc error: desc = no such host"}}))
    tells(bench.server, "Failed to pull image x: rpc error: desc = no such host")
    async with bench.running() as owner:
        await owner.until(lambda: bool(owner.notices))
        assert owner.notices[0].message.count("no such host") == 1


async def test_an_attached_agents_image_is_told_with_the_flag_that_names_another() -> None:
    async with fake_api.serving() as server:
        bench = Bench(server, once=True)
        stuck = raw(agent=None)
        stuck["spec"]["ephemeralContainers"] = [{"name": "devloop-agent-1"}]
        waits = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
        stuck["status"]["ephemeralContainerStatuses"] = [{"name": "devloop-agent-1", "state": waits}]
        bench.there(stuck)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(podwatch, "GIVE_UP_S", 0.02)
            patched.setattr(podwatch, "LOOK_S", 0.01)
            error = await bench.ended()
    assert error.error_code == "DL0761" and "no such image" in error.message and "--agent-image" in error.hint
    # not at once: another watch may have a better one
    assert [notice.message for notice in bench.owner.notices] == [error.message]


async def test_a_watch_for_once_ends_where_only_a_person_can_help() -> None:
    async with fake_api.serving() as server:
        bench = Bench(server, once=True)
        bench.there(raw(), pulling("web-5d-b"))
        error = await bench.ended()
    assert (error.error_code, error.exit_status) == ("DL0761", errors.Exit.ERROR)
    assert "web-5d-b" in error.message


@pytest.mark.parametrize(
    ("pods_there", "part"),
    [
        ([raw(agent=None)], "no pod of deployment/web has an agent"),
        ([], "deployment/web has no pods: exceeded quota: pods=1"),
        ([raw(agent={"waiting": {"reason": "CrashLoopBackOff"}})], "the agent waits: CrashLoopBackOff"),
    ],
)
async def test_a_watch_for_once_gives_up_after_a_while(
    pods_there: list[dict[str, Any]], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(podwatch, "GIVE_UP_S", 0.02)
    monkeypatch.setattr(podwatch, "LOOK_S", 0.01)
    monkeypatch.setattr(podwatch, "GAP_S", 0.0)
    async with fake_api.serving() as server:
        bench = Bench(server, once=True)
        bench.there(*pods_there)
        tells(server, "exceeded quota: pods=1", "FailedCreate")
        error = await bench.ended()
        assert part in error.message and error.hint
        assert [notice.message for notice in bench.owner.notices] == [error.message]


async def test_a_watch_for_once_waits_for_a_pod_that_is_just_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podwatch, "LOOK_S", 0.01)
    async with fake_api.serving() as server:
        bench = Bench(server, once=True)
        bench.there()
        async with bench.running() as owner:
            await owner.until(lambda: bool(owner.notices))
            bench.stream.say("ADDED", raw("web-5d-b", agent={}))
            await owner.until(lambda: owner.acts == ["+web-5d-b"])


async def test_why_there_are_no_pods_is_told_when_it_is_known(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podwatch, "LOOK_S", 0.01)
    bench.there()
    async with bench.running() as owner:
        await owner.until(lambda: len(owner.notices) == 1)
        tells(bench.server, "exceeded quota: pods=1", "FailedCreate")
        await owner.until(lambda: len(owner.notices) == 2)
        assert "exceeded quota" in owner.notices[1].message and "describe quota" in owner.notices[1].hint


@pytest.mark.parametrize(("wanted", "hint"), [("apq", "did you mean app?"), ("zz", "it has app, side")])
async def test_a_container_that_the_pods_do_not_have(wanted: str, hint: str) -> None:
    async with fake_api.serving() as server:
        bench = Bench(server, workload="deployment/web", container=wanted)
        containers = [{"name": name} for name in ("app", "side", "devloop-agent")]
        selector = {"matchLabels": {"app": "web"}}
        template = {"spec": {"containers": containers}}
        server.on("GET", WORKLOAD, fake_api.giving({"spec": {"selector": selector, "template": template}}))
        error = await bench.ended()
    assert (error.error_code, error.hint) == ("DL0802", hint)


def crashing() -> dict[str, Any]:
    found = raw()
    found["status"]["containerStatuses"] = [test_pods.crashing()]
    return found


def _is(owner: Owner, state: str) -> bool:
    return owner.states == {"web-5d-a": state}


async def test_an_app_that_ends_again_and_again_is_told_of_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.there(crashing())
    async with bench.running() as owner:
        await owner.until(lambda: len(owner.notices) == 1)
        for found, state in ((raw(), "ready"), (crashing(), "app CrashLoopBackOff: exit 1"), (raw(), "ready")):
            bench.stream.say("MODIFIED", found)
            await owner.until(functools.partial(_is, owner, state))
        (told,) = owner.notices
        assert told.code == "DL0764" and "web-5d-a" in told.message and "kubectl logs" in told.hint
        # One that ran for a while before is news again.
        monkeypatch.setattr(podwatch, "CALM_S", -1.0)
        bench.stream.say("MODIFIED", crashing())
        await owner.until(lambda: len(owner.notices) == 2)


async def test_a_workload_that_is_deleted_is_said_to_be_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podwatch, "GAP_S", 0.0)
    bench.there(raw())
    async with bench.running() as owner:
        await owner.until(lambda: bool(owner.states))
        bench.server.on("GET", WORKLOAD, fake_api.refusing(404, "not found", "NotFound"))
        bench.stream.say("DELETED", raw())
        await owner.until(lambda: bool(owner.notices))
        assert owner.notices[0].code == "DL0730" and "goes on" in owner.notices[0].hint
        assert owner.trouble == owner.notices[0].message
        bench.stream.say("ADDED", raw())
        await owner.until(lambda: owner.trouble == "")


async def test_a_pod_that_is_replaced_is_said_to_be_and_not_that_there_are_none(bench: Bench) -> None:
    bench.there(raw())
    async with bench.running() as owner:
        await owner.until(lambda: bool(owner.states))
        bench.stream.say("MODIFIED", raw(terminating=True))
        await owner.until(lambda: bool(owner.notices))
        bench.stream.say("DELETED", raw(terminating=True))
        bench.stream.say("ADDED", raw("web-5d-b"))
        await owner.until(lambda: owner.acts[-1] == "+web-5d-b" and not owner.trouble)
        (told,) = owner.notices
        assert told.message == "deployment/web has no pod now: web-5d-a is being deleted"


async def test_the_way_in_is_held_while_the_pods_are_followed_and_sees_each_of_them(bench: Bench) -> None:
    bench.there(raw("web-5d-a", agent=None))
    async with bench.running() as owner:
        await owner.until(lambda: bool(bench.rung.seen))
        assert bench.rung.seen[-1] == ["web-5d-a"]
        bench.stream.say("ADDED", raw("web-5d-b"))
        bench.stream.say("DELETED", raw("web-5d-a", agent=None))
        bench.stream.say("MODIFIED", raw("web-5d-b", ready=False))
        await owner.until(lambda: owner.states == {"web-5d-b": "not ready"})
    assert bench.rung.seen[-1] == ["web-5d-b"]
    assert not bench.rung.holding


async def test_a_workload_that_is_made_anew_with_other_labels_has_its_new_pods_followed(bench: Bench) -> None:
    told = Stream()
    old = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}}
    new = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "shop"}}}}
    there = [old]

    async def workload(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await told(request)
        return web.json_response({"items": there, "metadata": {"resourceVersion": "1"}})

    bench.server.on("GET", WORKLOAD.rpartition("/")[0], workload)
    bench.there(raw("web-5d-a"))
    async with bench.running() as owner:
        await owner.until(lambda: owner.acts == ["+web-5d-a"])
        bench.there(raw("web-5d-b"))
        there[:] = [new]
        told.say("MODIFIED", old)
        told.say("ADDED", new)
        await owner.until(lambda: owner.acts == ["+web-5d-a", "-web-5d-a", "+web-5d-b"])
    lists = [each for each in bench.server.requests if each.path == PODS and "watch" not in each.query]
    assert [each.query["labelSelector"] for each in lists] == ["app=web", "app=shop"]
    assert any("means other pods than before: app=shop" in each.message for each in owner.notices)
