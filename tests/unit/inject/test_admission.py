from __future__ import annotations

from typing import Any

from devloop.inject import admission
from devloop.kube import client, eviction, workloads
from devloop.podspec import devsession
from tests.unit.agent.webhook import objects
from tests.unit.kube import fake_api

PODS = "/api/v1/namespaces/dev/pods"
SESSION = devsession.read(objects.session())
WANTED = workloads.Wanted("app=web", reference=workloads.parse("deployment/web"))
VERSION = client.Version(1, 20, "v1.20.2")
BEFORE, AFTER = "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"


def pod(
    name: str, created: str = BEFORE, mark: str = "", why: str = "", agent: bool = False, **meta: Any
) -> dict[str, Any]:
    notes = {devsession.SEEN: mark, devsession.NOT_INJECTED: why}
    annotations = {key: text for key, text in notes.items() if text}
    owner = meta.pop("owner", ("ReplicaSet", "web-5d4f"))
    made = objects.pod(owner, name=name, uid=f"u-{name}", creationTimestamp=created, annotations=annotations, **meta)
    if agent:
        made["spec"]["containers"].append({"name": "devloop-agent"})
    return made


def names(some: Any) -> list[str]:
    return [each.name for each in some]


def test_pods_from_before_the_session_go() -> None:
    seen = admission.survey([pod("a"), pod("b", mark="other/1", agent=True)], WANTED, SESSION)
    assert names(seen.old) == ["a", "b"] and not seen.is_settled


def test_pods_of_an_earlier_wish_go() -> None:
    earlier = f"{SESSION.uid}/1"
    seen = admission.survey([pod("a", AFTER, earlier, agent=True), pod("b", AFTER, earlier, "why")], WANTED, SESSION)
    assert names(seen.old) == ["a", "b"]


def test_pods_that_have_what_is_asked_for_stay() -> None:
    some = [pod("a", AFTER, SESSION.mark, agent=True), pod("declared", agent=True)]
    seen = admission.survey(some, WANTED, SESSION)
    assert seen.ready == ("a", "declared") and seen.is_settled


def test_pods_that_cannot_have_it_stay_and_say_why() -> None:
    seen = admission.survey([pod("a", AFTER, SESSION.mark, "no such container")], WANTED, SESSION)
    assert seen.passed == {"a": "no such container"} and seen.is_settled


def test_a_pod_that_came_later_and_that_nobody_looked_at_is_stray() -> None:
    seen = admission.survey([pod("a", AFTER)], WANTED, SESSION)
    assert names(seen.stray) == ["a"] and not seen.is_settled


def test_pods_that_nobody_would_make_again_stay() -> None:
    wanted = workloads.of_labels({"app": "web"})
    assert admission.survey([pod("a", owner=None)], wanted, SESSION).alone == ("a",)


def test_pods_of_others_and_pods_that_are_over_do_not_count() -> None:
    some = [
        pod("a", owner=("ReplicaSet", "api-5d4f")),
        pod("b", deletionTimestamp=AFTER),
        {**pod("c"), "status": {"phase": "Failed"}},
    ]
    assert admission.survey(some, WANTED, SESSION) == admission.Survey()


def turnover(api: client.Client) -> admission.Turnover:
    return admission.Turnover(api, SESSION, WANTED, VERSION)


def evictions(server: fake_api.FakeApi) -> list[str]:
    return [request.path.split("/")[-2] for request in server.requests if request.method == "POST"]


async def test_each_old_pod_is_evicted_once(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", PODS, objects.listed(pod("a"), pod("b", AFTER, SESSION.mark, agent=True)))
    server.on("POST", f"{PODS}/a/eviction", objects.answered({}, 201))
    one = turnover(api)
    seen, done = await one.step()
    assert not seen.is_settled and [each.end for each in done] == [eviction.End.EVICTED]
    assert (await one.step())[1] == []
    assert evictions(server) == ["a"]


async def test_a_pod_that_a_budget_keeps_is_tried_again(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", PODS, objects.listed(pod("a")))
    server.on("POST", f"{PODS}/a/eviction", objects.failed(429, "budget"), objects.answered({}, 201))
    one = turnover(api)
    ends = [(await one.step())[1][0].end for _ in range(2)]
    assert ends == [eviction.End.FORBIDDEN_NOW, eviction.End.EVICTED]


async def test_stray_pods_are_evicted_in_one_more_round_and_then_given_up(
    api: client.Client, server: fake_api.FakeApi
) -> None:
    rounds = [objects.listed(pod(name, AFTER)) for name in ("a", "b", "c")]
    server.on("GET", PODS, *rounds)
    for name in ("a", "b", "c"):
        server.on("POST", f"{PODS}/{name}/eviction", objects.answered({}, 201))
    one = turnover(api)
    given_up = []
    for _ in range(3):
        await one.step()
        given_up.append(one.is_given_up)
    assert given_up == [False, True, True]
    assert evictions(server) == ["a"]


async def test_looking_changes_nothing(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", PODS, objects.listed(pod("a")))
    assert names((await turnover(api).look()).old) == ["a"]
    assert evictions(server) == [] and server.requests[-1].query["labelSelector"] == "app=web"


async def test_a_workload_that_is_made_anew_with_other_labels_has_its_new_pods_replaced(
    api: client.Client, server: fake_api.FakeApi
) -> None:
    shop = objects.workload(selector={"matchLabels": {"app": "shop"}})
    server.on("GET", "/apis/apps/v1/namespaces/dev/deployments/web", objects.answered(shop))
    server.on("GET", PODS, objects.listed(pod("a")))
    await turnover(api).look()
    assert server.requests[-1].query["labelSelector"] == "app=shop"
