"""The admission rung on a real cluster: pods are injected when they are made, for those who may, and given back."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from devloop import errors
from devloop.inject import admission as rung
from devloop.inject import sessions
from devloop.kube import client, config, eviction, workloads
from devloop.podspec import devsession
from tests.e2e import admission, cluster, machine, shapes, space

STEP_S = 0.5


@pytest.fixture(scope="module")
def webhook(whole: cluster.Cluster, agent_image: str) -> Iterator[admission.Installed]:
    """The webhook, from this tree's image."""
    with admission.installed(whole, whole.webhook_image(), agent_image) as made:
        yield made


@pytest.fixture
def opened(
    ns: space.Space, webhook: admission.Installed, app_image: str, request: pytest.FixtureRequest
) -> Iterator[space.Space]:
    """A namespace that is open for sessions, with an app of one pod."""
    webhook.open(ns)
    ns.apply(admission.deployment(app_image))
    living(ns, space.is_ready, "the app")
    yield ns
    request.node.add_report_section("teardown", "webhook", webhook.logs())


@pytest.fixture
def developer(opened: space.Space, webhook: admission.Installed) -> cluster.Kubectl:
    """The rights of a developer with sessions."""
    return webhook.developer(opened)


@pytest.fixture
async def api(developer: cluster.Kubectl) -> AsyncIterator[client.Client]:
    """devloop's own connection, with a developer's rights."""
    cluster_ = config.load(config.Choice(kubeconfig=str(developer.kubeconfig)))
    async with client.connect(cluster_) as connected:
        yield connected


def living(
    ns: space.Space, accept: Callable[[dict[str, Any]], bool], what: str, timeout_s: float = 60.0
) -> dict[str, Any]:
    """Wait for a pod of the app that is not ending and is as wanted."""
    argv = ns.admin.argv("get", "pods", "-l", "app=web", "--watch", "-o", "json")
    return ns.until(argv, lambda pod: "deletionTimestamp" not in pod["metadata"] and accept(pod), what, timeout_s)


def has_agent(pod: dict[str, Any]) -> bool:
    spec = pod["spec"]
    return any(each["name"] == shapes.AGENT for each in [*spec["containers"], *spec.get("initContainers", [])])


def is_clean(pod: dict[str, Any]) -> bool:
    volumes = [each["name"] for each in pod["spec"].get("volumes", [])]
    marks = [*pod["metadata"].get("labels", {}), *pod["metadata"].get("annotations", {})]
    return not has_agent(pod) and not any("devloop" in name for name in [*volumes, *marks])


def create(kubectl: cluster.Kubectl, manifest: dict[str, Any], *flags: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(kubectl("create", "-f", "-", "-o", "json", *flags, told=json.dumps(manifest)))
    return made


def asked(**spec: Any) -> devsession.Spec:
    return devsession.read(admission.session(**spec)).spec


async def turnover(api: client.Client, session: devsession.Session) -> rung.Turnover:
    reference = workloads.parse("deployment/web")
    wanted = workloads.of_workload(reference, await api.get(reference.path(session.namespace)))
    return rung.Turnover(api, session, wanted, await api.version())


async def turned_over(api: client.Client, session: devsession.Session) -> rung.Survey:
    """Do what `devloop watch` does until every pod has been replaced."""
    one = await turnover(api, session)
    async with asyncio.timeout(60):
        while True:
            seen, _ = await one.step()
            if seen.is_settled and (seen.ready or seen.passed):
                return seen
            await sessions.renew(api, session, datetime.datetime.now(datetime.UTC))
            await asyncio.sleep(STEP_S)


def pod_of(ns: space.Space, seen: rung.Survey) -> str:
    (name,) = seen.ready
    living(ns, lambda pod: pod["metadata"]["name"] == name and space.is_ready(pod), "the injected pod")
    return name


async def test_a_session_brings_the_agent_in_and_its_end_takes_it_out(
    opened: space.Space, developer: cluster.Kubectl, api: client.Client
) -> None:
    before = opened.get("deployment", "web")
    assert (await sessions.rung(api, opened.name)).usable
    session = await sessions.begin(api, opened.name, asked())
    assert session.spec.author.name == f"system:serviceaccount:{opened.name}:{space.ACCOUNT}"
    name = pod_of(opened, await turned_over(api, session))
    key = space.in_container(
        developer, name, "python", "-m", "agent", "key", "--state", shapes.KEY, container=shapes.AGENT
    )
    assert len(key) == 64

    done = await sessions.end_sessions(api, opened.name, "alice@laptop")
    assert done.sessions == ("deployment-web",) and [each.end for each in done.evictions] == [eviction.End.EVICTED]
    living(opened, lambda pod: is_clean(pod) and space.is_ready(pod), "the pod as git says")
    # The workload was never touched.
    after = opened.get("deployment", "web")
    assert (before["spec"], before["metadata"]["generation"]) == (after["spec"], after["metadata"]["generation"])
    assert await sessions.end_sessions(api, opened.name, "alice@laptop") == sessions.Ended()


@pytest.mark.kube(min="1.29")
async def test_under_an_enforced_restricted_level_the_agent_comes_as_a_native_sidecar(
    opened: space.Space, developer: cluster.Kubectl, api: client.Client
) -> None:
    opened.cluster.admin("label", "namespace", opened.name, "pod-security.kubernetes.io/enforce=restricted")
    session = await sessions.begin(api, opened.name, asked())
    pod = opened.get("pod", pod_of(opened, await turned_over(api, session)))
    (agent,) = [each for each in pod["spec"]["initContainers"] if each["name"] == shapes.AGENT]
    assert agent["restartPolicy"] == "Always"
    assert [each["name"] for each in pod["spec"]["containers"]] == [shapes.APP]
    assert "running" in space.container_state(pod, shapes.AGENT)["state"]


async def test_what_a_session_asks_for_later_comes_with_new_pods(opened: space.Space, api: client.Client) -> None:
    session = await sessions.begin(api, opened.name, asked())
    first = pod_of(opened, await turned_over(api, session))
    same = await sessions.begin(api, opened.name, asked())
    assert same.mark == session.mark and (await turned_over(api, same)).ready == (first,)
    changed = await sessions.begin(api, opened.name, asked(env=[{"name": "DEBUG", "value": "1"}]))
    assert changed.uid == session.uid and changed.mark != session.mark
    second = pod_of(opened, await turned_over(api, changed))
    assert opened.exec(second, "sh", "-c", "echo $DEBUG", container=shapes.APP) == "1\n"


async def test_a_second_developer_is_told_who_has_it_and_may_take_it_over(
    opened: space.Space, api: client.Client
) -> None:
    session = await sessions.begin(api, opened.name, asked())
    bob = asked(owner="bob@desk")
    with pytest.raises(errors.OwnedError, match="alice@laptop's now"):
        await sessions.begin(api, opened.name, bob)
    taken = await sessions.begin(api, opened.name, bob, takeover=True)
    with pytest.raises(errors.OwnedError, match="was ended"):
        await sessions.renew(api, session, datetime.datetime.now(datetime.UTC))
    await sessions.renew(api, taken, datetime.datetime.now(datetime.UTC))
    ended = await sessions.end_sessions(api, opened.name, "alice@laptop")
    assert ended == sessions.Ended(others=("deployment-web of bob@desk",))


def test_an_author_without_exec_rights_is_refused(
    opened: space.Space, developer: cluster.Kubectl, webhook: admission.Installed
) -> None:
    opened.admin("delete", "rolebinding", "devloop")
    with pytest.raises(cluster.CommandError, match="may not create pods/exec"):
        create(developer, admission.session())


def test_an_author_who_loses_the_right_injects_nothing_more(
    opened: space.Space, developer: cluster.Kubectl, webhook: admission.Installed
) -> None:
    create(developer, admission.session())
    opened.admin("delete", "rolebinding", "devloop")
    opened.admin("delete", "pod", "-l", "app=web", "--wait=false")
    note = "devloop.dev/not-injected"
    pod = living(opened, lambda pod: note in pod["metadata"].get("annotations", {}), "a pod with the reason")
    assert "may not exec" in pod["metadata"]["annotations"][note] and not has_agent(pod)


def test_a_forged_author_is_refused(developer: cluster.Kubectl) -> None:
    author = {"name": "system:admin", "groups": ["system:masters"]}
    with pytest.raises(cluster.CommandError, match=r"spec\.author is written by devloop's webhook"):
        create(developer, admission.session(author=author))


def test_a_session_is_its_authors_to_change(opened: space.Space, developer: cluster.Kubectl) -> None:
    create(developer, admission.session())
    patch = json.dumps({"spec": {"command": ["evil"]}})
    with pytest.raises(cluster.CommandError, match="this session is"):
        opened.admin("patch", "devsession", "deployment-web", "--type=merge", "-p", patch)


async def test_what_a_session_may_not_ask_for_is_not_there_to_be_asked_for(
    opened: space.Space, developer: cluster.Kubectl, api: client.Client, webhook: admission.Installed
) -> None:
    wish: dict[str, Any] = {
        "image": "evil:1",
        "agentImage": "evil:1",
        "privileged": True,
        "securityContext": {"privileged": True},
        "runAsUser": 0,
        "hostPID": True,
    }
    made = create(developer, admission.session(**wish), "--validate=false")
    assert not wish.keys() & made["spec"].keys()
    name = pod_of(opened, await turned_over(api, devsession.read(made)))
    spec = opened.get("pod", name)["spec"]
    images = {each["image"] for each in [*spec["containers"], *spec["initContainers"]]}
    assert webhook.agent_image in images and "evil:1" not in images
    assert "privileged" not in json.dumps(spec).replace("allowPrivilegeEscalation", "") and "hostPID" not in spec


@pytest.mark.parametrize("wish", [{"runAs": {"user": 0}}, {"syncs": [{"to": "/etc"}]}, {"syncs": [{"to": "relative"}]}])
def test_what_no_session_may_have_is_refused(developer: cluster.Kubectl, wish: dict[str, Any]) -> None:
    with pytest.raises(cluster.CommandError, match=r"runAs|/etc|relative"):
        create(developer, admission.session(**wish))


async def test_a_pod_that_cannot_be_injected_comes_as_it_is_with_the_reason(
    opened: space.Space, api: client.Client
) -> None:
    session = await sessions.begin(api, opened.name, asked(container="nope"))
    seen = await turned_over(api, session)
    assert list(seen.passed.values()) == ["the container nope is not in the pod"] and not seen.ready
    living(opened, lambda pod: pod["metadata"]["name"] in seen.passed and space.is_ready(pod), "the pod, running")


def test_a_namespace_that_is_not_open_is_left_alone(
    ns: space.Space, webhook: admission.Installed, app_image: str
) -> None:
    ns.cluster.admin("label", "namespace", ns.name, f"devloop.dev/e2e-admission={webhook.name}")
    create(webhook.developer(ns), admission.session())
    ns.apply(admission.deployment(app_image))
    assert not has_agent(living(ns, space.is_ready, "the app"))


async def test_a_session_without_heartbeat_ends_and_its_pods_come_back_clean(
    opened: space.Space, api: client.Client
) -> None:
    session = await sessions.begin(api, opened.name, asked())
    pod_of(opened, await turned_over(api, session))
    living(opened, lambda pod: is_clean(pod) and space.is_ready(pod), "the pod as git says", admission.SILENCE_S * 3)
    with pytest.raises(errors.OwnedError, match="was ended"):
        await sessions.renew(api, session, datetime.datetime.now(datetime.UTC))


async def test_a_disruption_budget_is_respected_and_said(opened: space.Space, api: client.Client) -> None:
    version = "policy/v1" if opened.cluster.version >= cluster.Version(1, 21) else "policy/v1beta1"
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    opened.apply({"apiVersion": version, "kind": "PodDisruptionBudget", "metadata": {"name": "keep"}, "spec": budget})
    opened.wait("pdb", "keep", lambda each: each["status"].get("currentHealthy") == 1, "the budget")
    session = await sessions.begin(api, opened.name, asked())
    one = await turnover(api, session)
    (name,) = [pod["metadata"]["name"] for pod in opened.pods("app=web")]
    for _ in range(2):
        _, (done,) = await one.step()
        assert done.end is eviction.End.FORBIDDEN_NOW
        # The API server's own words, which name the budget.
        assert done.pod == name and "disruption budget keep needs 1 healthy" in done.message
    opened.admin("delete", "pdb", "keep")
    pod_of(opened, await turned_over(api, session))


async def test_a_webhook_that_is_down_blocks_no_pod_and_is_said(
    opened: space.Space, api: client.Client, webhook: admission.Installed
) -> None:
    session = await sessions.begin(api, opened.name, asked())
    webhook.scale(0)
    with contextlib.ExitStack() as stack:
        stack.callback(webhook.scale, 1)
        opened.admin("delete", "pod", "-l", "app=web", "--wait=false")
        pod = living(opened, lambda pod: space.is_ready(pod) and pod["metadata"]["name"] not in gone(opened), "a pod")
        assert not has_agent(pod)
        with pytest.raises(errors.ClusterError, match="webhook in the cluster does not answer"):
            await sessions.begin(api, opened.name, asked(supervise=False))
        # The heartbeat does not need it.
        await sessions.renew(api, session, datetime.datetime.now(datetime.UTC))
        # Its certificate may be lost meanwhile.
        webhook.admin("patch", "secret", f"{webhook.name}-tls", "--type=merge", "-p", json.dumps({"data": None}))
    pod_of(opened, await turned_over(api, await sessions.begin(api, opened.name, asked())))


def gone(ns: space.Space) -> set[str]:
    return {pod["metadata"]["name"] for pod in ns.pods("app=web") if "deletionTimestamp" in pod["metadata"]}


async def test_without_rights_or_without_the_label_the_rung_says_what_is_missing(
    ns: space.Space, webhook: admission.Installed
) -> None:
    cluster_ = config.load(config.Choice(kubeconfig=str(ns.developer().kubeconfig)))
    async with client.connect(cluster_) as api:
        found = await sessions.rung(api, ns.name)
        assert not found.usable and "you may not create devsessions" in found.reason
        with pytest.raises(errors.ForbiddenError, match="you may not create devsessions"):
            await sessions.begin(api, ns.name, asked())


def test_a_watch_brings_the_agent_in_by_itself_and_keeps_the_session(
    opened: space.Space, developer: cluster.Kubectl, tmp_path: Any
) -> None:
    web = {"workload": "deployment/web", "sync": [{"from": "web", "to": "/srv/web", "seed": "none"}]}
    ann = machine.Laptop(tmp_path / "ann", developer, {"services": {"web": web}})
    ann.write("web/page.html", "one\n")
    with ann.watching() as watch:
        watch.until_ready()
        pod = living(opened, has_agent, "the injected pod")["metadata"]["name"]
        assert opened.read(pod, "/srv/web/page.html", shapes.APP) == "one\n"
        ann.write("web/page.html", "two\n")
        watch.until(lambda event: event["event"] == "sync_complete", "the save")
        assert opened.read(pod, "/srv/web/page.html", shapes.APP) == "two\n"
        said = [event["message"] for event in watch.seen if event["event"] == "notice"]
        assert any("is yours by the DevSession deployment-web" in each for each in said), said
        heard = opened.get("devsession", "deployment-web")["status"]["renewTime"]
        opened.wait("devsession", "deployment-web", lambda each: each["status"]["renewTime"] != heard, "a heartbeat")


def test_what_a_killed_watch_left_patched_is_restored_by_the_sweeper(
    opened: space.Space, webhook: admission.Installed, agent_image: str, tmp_path: Any
) -> None:
    webhook.restore_in(opened)
    try:
        before = opened.get("deployment", "web")["spec"]["template"]
        web = {"workload": "deployment/web", "sync": [{"from": "web", "to": "/srv/web", "seed": "none"}]}
        ann = machine.Laptop(tmp_path / "ann", opened.developer("patch"), {"services": {"web": web}})
        ann.write("web/page.html", "one\n")
        with ann.watching("--patch", agent_image=agent_image) as watch:
            watch.until_ready()
            said = " ".join(event.get("message", "") for event in watch.seen)
            assert f"the sweeper in the cluster ({webhook.name}/{webhook.name}) does after 15 minutes" in said, said
            watch.process.kill()
            watch.process.wait(30)
        # Nobody waits for that long here.
        shorter = json.dumps({"spec": {"leaseDurationSeconds": 3}})
        opened.admin("patch", "lease", "devloop-deployment-web", "--type=merge", "-p", shorter)
        opened.wait("deployment", "web", lambda each: each["spec"]["template"] == before, "what it was", 60.0)
        argv = opened.admin.argv("get", "events", "--watch", "-o", "json")
        event = opened.until(argv, lambda each: each["reason"] == "DevloopRestored", "the event", 30.0)
        assert event["involvedObject"]["name"] == "web" and "put back exactly as it was" in event["message"]
        opened.admin("wait", "--for=delete", "lease/devloop-deployment-web", "--timeout=30s")
    finally:
        webhook.restore_nowhere()


KEEPS = {
    "workload": "deployment/web",
    "persist": ["/srv/web/node_modules"],
    "persist_size": "20Mi",
    "sync": [{"from": "web", "to": "/srv/web", "seed": "none"}],
}


@pytest.fixture
def volume(ns: space.Space, app_image: str) -> Iterator[str]:
    """A volume for the claim alone, as Ops make one where nothing makes them: a folder of the node, open to all."""
    folder = f"/tmp/devloop-{ns.name}"
    chown = shapes.pod("chown", [shapes.container(shapes.APP, app_image, "chmod", "0777", "/there")])
    chown["spec"]["securityContext"] = {"runAsUser": 0, "runAsNonRoot": False}
    there = {"name": "there", "hostPath": {"path": folder, "type": "DirectoryOrCreate"}}
    chown["spec"] |= {"volumes": [there], "restartPolicy": "Never"}
    chown["spec"]["containers"][0] |= {
        "volumeMounts": [{"name": "there", "mountPath": "/there"}],
        "securityContext": {},
    }
    ns.apply(chown)
    assert ns.finished("chown") == "Succeeded"
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "20Mi"},
        "claimRef": {"namespace": ns.name, "name": "devloop-web"},
        "hostPath": {"path": folder},
        # The folder goes with the volume where the controllers run on the node.
        "persistentVolumeReclaimPolicy": "Delete",
        "storageClassName": "",
    }
    ns.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": ns.name}, "spec": spec})
    yield ns.name
    ns.cluster.admin("delete", "pv", ns.name, "--wait=false", "--ignore-not-found")


def claims(ns: space.Space) -> list[str]:
    return ns.admin("get", "pvc", "-o", "name").split()


def test_what_is_to_persist_outlives_the_pod_and_goes_with_down(
    opened: space.Space, developer: cluster.Kubectl, volume: str, tmp_path: Any
) -> None:
    kept = "/srv/web/node_modules/made-in-the-pod"
    ann = machine.Laptop(tmp_path / "ann", developer, {"services": {"web": KEEPS}})
    ann.write("web/page.html", "one\n")
    with ann.watching() as watch:
        watch.until_ready()
        said = " ".join(event.get("message", "") for event in watch.seen)
        assert "the claim devloop-web of 20Mi was made for /srv/web/node_modules" in said, said
        first = living(opened, has_agent, "the injected pod")["metadata"]["name"]
        opened.exec(first, "sh", "-c", f"echo hours of npm > {kept}", container=shapes.APP)
        opened.admin("delete", "pod", first, "--wait=false")
        second = living(
            opened, lambda pod: has_agent(pod) and pod["metadata"]["name"] != first and space.is_ready(pod), "the next"
        )["metadata"]["name"]
        assert opened.read(second, kept, shapes.APP) == "hours of npm\n"
        ann.write("web/page.html", "two\n")
        watch.until(lambda event: event["event"] == "sync_complete", "the save")
    kept_it = ann("down", "--keep-volumes")
    assert kept_it.status == 0 and "the claim devloop-web is kept" in kept_it.err, kept_it.err
    assert claims(opened) == ["persistentvolumeclaim/devloop-web"]
    done = ann("down")
    assert done.status == 0, done.err
    assert "the claim devloop-web is deleted" in done.err and "nothing labelled devloop.dev/session" in done.err
    assert claims(opened) == []
    living(opened, lambda pod: is_clean(pod) and space.is_ready(pod), "the pod as git says")


def test_a_claim_that_gets_no_volume_is_said_in_the_clusters_words_and_leaves_nothing(
    opened: space.Space, developer: cluster.Kubectl, tmp_path: Any
) -> None:
    if opened.admin("get", "storageclass", "-o", "name").split():
        pytest.skip("this cluster makes volumes")
    ann = machine.Laptop(tmp_path / "ann", developer, {"services": {"web": KEEPS}})
    ann.write("web/page.html", "one\n")
    with ann.watching() as watch:
        told = watch.until(lambda event: "gets no volume" in event.get("message", ""), "the reason")
    assert "no persistent volumes available for this claim and no storage class is set" in told["message"]
    assert told["code"] == "DL0787" and "StorageClass" in told["hint"]
    assert claims(opened) == [] and opened.admin("get", "devsessions", "-o", "name").split() == []


def test_a_quota_that_forbids_the_claim_is_said_and_leaves_nothing(
    opened: space.Space, developer: cluster.Kubectl, tmp_path: Any
) -> None:
    quota = {"hard": {"persistentvolumeclaims": "0"}}
    opened.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": quota})
    opened.wait("quota", "small", lambda each: "used" in each["status"], "the quota")
    ann = machine.Laptop(tmp_path / "ann", developer, {"services": {"web": KEEPS}})
    ann.write("web/page.html", "one\n")
    with ann.watching() as watch:
        told = watch.until(lambda event: "exceeded quota: small" in event.get("message", ""), "the reason")
    assert told["code"] == "DL0787" and "kubectl describe quota" in told["hint"]
    assert claims(opened) == [] and opened.admin("get", "devsessions", "-o", "name").split() == []


WEB = {"workload": "deployment/web", "sync": [{"from": "web", "to": "/srv/web", "seed": "none"}]}


def examined(folder: Any, user: cluster.Kubectl) -> dict[str, dict[str, Any]]:
    """Return the doctor's checks by name, for somebody with the rights of a kubeconfig."""
    one = machine.Laptop(folder, user, {"services": {"web": WEB}})
    one.write("web/page.html", "one\n")
    done = one("doctor", "-o", "json")
    return {check["name"]: check for check in json.loads(done.out)["checks"]}


async def test_the_doctor_judges_the_webhook_from_where_it_matters(
    opened: space.Space, developer: cluster.Kubectl, webhook: admission.Installed, api: client.Client, tmp_path: Any
) -> None:
    session = await sessions.begin(api, opened.name, asked())
    pod_of(opened, await turned_over(api, session))
    mine = examined(tmp_path / "developer", developer)
    assert mine["webhook"]["level"] == "pass", mine["webhook"]
    assert mine["webhook"]["text"].endswith(f"knows you as {session.spec.author.name}")
    # What only Ops may read is not known, and is not called wrong.
    assert mine["webhook configuration"]["level"] == "unknown" and mine["webhook configuration"]["fix"]
    assert mine["session"]["level"] == "pass" and "was not tried: you may not create pods" in mine["session"]["text"]
    assert "budgets" not in mine
    ops = examined(tmp_path / "ops", opened.admin)
    told = [ops[name]["level"] for name in ("webhook", "webhook configuration", "webhook endpoints", "session")]
    assert told == ["pass"] * 4, ops
    assert "a pod that was only tried came with it" in ops["session"]["text"]
    # Nothing was made by all that.
    assert opened.admin("get", "devsessions", "-o", "name").split() == ["devsession.devloop.dev/deployment-web"]
    assert len([pod for pod in opened.pods("app=web") if "deletionTimestamp" not in pod["metadata"]]) == 1


def test_the_doctor_names_the_budget_that_would_keep_the_pods(
    opened: space.Space, developer: cluster.Kubectl, tmp_path: Any
) -> None:
    version = "policy/v1" if opened.cluster.version >= cluster.Version(1, 21) else "policy/v1beta1"
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    opened.apply({"apiVersion": version, "kind": "PodDisruptionBudget", "metadata": {"name": "keep"}, "spec": budget})
    opened.wait("pdb", "keep", lambda each: each["status"].get("currentHealthy") == 1, "the budget")
    told = examined(tmp_path / "developer", developer)["budgets"]
    assert (told["level"], told["code"]) == ("warn", "DL0785")
    assert told["text"].startswith("keep needs 1 healthy pods, and 1 are: none may be evicted now") and told["fix"]


def test_the_doctor_finds_a_webhook_that_is_away_or_not_trusted(
    opened: space.Space, developer: cluster.Kubectl, webhook: admission.Installed, tmp_path: Any
) -> None:
    webhook.distrust()
    told = examined(tmp_path / "distrusted", developer)["webhook"]
    assert (told["level"], told["code"]) == ("fail", "DL0821"), told
    assert "x509" in told["text"] and "caBundle" in told["fix"]
    webhook.scale(0)
    try:
        gone = examined(tmp_path / "away", developer)["webhook"]
        ops: dict[str, Any] = {}
        # the endpoints follow the pods a moment later
        for number in range(20):
            ops = examined(tmp_path / f"ops-{number}", opened.admin)["webhook endpoints"]
            if ops["level"] == "fail":
                break
    finally:
        webhook.scale(1)
    assert gone["level"] == "fail" and "cannot call the webhook" in gone["text"], gone
    assert ops["level"] == "fail" and "no pod is ready" in ops["text"]


def test_a_laptop_that_slept_until_its_session_was_over_goes_on_when_it_wakes_up(
    opened: space.Space, developer: cluster.Kubectl, tmp_path: Any
) -> None:
    ann = machine.Laptop(tmp_path / "ann", developer, {"services": {"web": WEB}})
    ann.write("web/page.html", "one\n")
    with ann.watching() as watch:
        watch.until_ready()
        watch.process.send_signal(signal.SIGSTOP)
        try:
            # The sweeper gives the pods back, as it should.
            living(opened, lambda pod: is_clean(pod) and space.is_ready(pod), "git's pod", admission.SILENCE_S * 3)
            ann.write("web/page.html", "two\n")
        finally:
            watch.process.send_signal(signal.SIGCONT)
        watch.until(lambda event: "asked for anew" in event.get("message", ""), "that it goes on")
        watch.until(lambda event: event["event"] == "sync_complete", "the save")
        pod = living(opened, lambda pod: has_agent(pod) and space.is_ready(pod), "the injected pod")["metadata"]["name"]
        assert opened.read(pod, "/srv/web/page.html", shapes.APP) == "two\n"


def test_without_the_webhooks_configuration_no_session_is_left_behind(
    opened: space.Space, developer: cluster.Kubectl, webhook: admission.Installed, tmp_path: Any
) -> None:
    ann = machine.Laptop(tmp_path / "ann", developer, {"services": {"web": WEB}})
    ann.write("web/page.html", "one\n")
    with webhook.unconfigured():
        with ann.watching() as watch:
            told = watch.until(lambda event: event.get("code") == "DL0821", "the reason")
        assert "no webhook that looks at them" in told["message"] and told["hint"]
        assert opened.admin("get", "devsessions", "-o", "name").split() == []
        checks = {each["name"]: each for each in json.loads(ann("doctor", "-o", "json").out)["checks"]}
        assert checks["webhook"]["level"] == "fail" and "nobody looks at them" in checks["webhook"]["text"]
    living(opened, lambda pod: is_clean(pod) and space.is_ready(pod), "the pod, as it was")
