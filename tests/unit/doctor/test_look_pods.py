"""What is found out about a service's pods; the commands in containers and the links have tests of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from devloop import errors
from devloop.config import model
from devloop.daemon import replica
from devloop.doctor import facts, hello, look_pods
from devloop.kube import client, execute
from tests.unit.kube import fake_api, test_pods

PODS = "/api/v1/namespaces/dev/pods"
WORKLOAD = "/apis/apps/v1/namespaces/dev/deployments/web"
SERVER = facts.Server(1, 30, "v1.30.0")
HELLO = facts.Hello("0.1.0", 1000, (facts.Root("/app"),))


def spec(**more: Any) -> model.Service:
    about = {"workload": "deployment/web", "sync": [{"from": "/laptop", "to": "/app"}], **more}
    return model.Service.model_validate({key: value for key, value in about.items() if value is not None})


def deployment(*containers: dict[str, Any], **pod: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": list(containers), **pod}}
    return {"kind": "Deployment", "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template}}


APP: dict[str, Any] = {"name": "app", "image": "app", "command": ["run"], "securityContext": {"runAsUser": 1000}}


class Inside:
    """Answers the commands in containers and the agents' hello."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, execute.Result | errors.DevloopError] = {
            "id": execute.Result(0, b"1000\n", b""),
            "test": execute.Result(0, b"", b""),
            "du": execute.Result(1, b"120\t/app\n", b"du: cannot read /app/x\n"),
        }
        self.hello: facts.Hello | errors.DevloopError = HELLO
        self.ran: list[tuple[str, ...]] = []
        monkeypatch.setattr(execute, "run", self.run)
        monkeypatch.setattr(hello, "ask", self.ask)

    async def run(self, api: object, where: execute.Where, argv: Sequence[str], **_: Any) -> execute.Result:
        self.ran.append((where.pod, where.container, *argv))
        found = self.answers[argv[0]]
        if isinstance(found, errors.DevloopError):
            raise found
        return found

    async def ask(self, target: replica.Target) -> facts.Hello:
        if isinstance(self.hello, errors.DevloopError):
            raise self.hello
        return self.hello


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Inside:
    return Inside(monkeypatch)


@pytest.fixture
async def server() -> AsyncIterator[fake_api.FakeApi]:
    async with fake_api.serving() as running:
        running.on("GET", WORKLOAD, fake_api.giving(deployment(APP)))
        there(running, test_pods.raw())
        yield running


@pytest.fixture
async def api(server: fake_api.FakeApi) -> AsyncIterator[client.Client]:
    async with client.connect(server.cluster()) as connected:
        yield connected


def there(server: fake_api.FakeApi, *some: dict[str, Any]) -> None:
    server.on("GET", PODS, fake_api.giving({"items": list(some), "metadata": {"resourceVersion": "1"}}))


async def look(api: client.Client, **more: Any) -> facts.Workload:
    return await look_pods.look(api, "web", spec(**more), SERVER)


async def test_a_pod_with_a_running_agent(api: client.Client, inside: Inside) -> None:
    found = await look(api)
    (pod,) = found.pods
    assert (pod.agent, pod.hello, pod.uid) == ("running", HELLO, 1000)
    # What du cannot read it says, and counts the rest.
    assert pod.places == (facts.Place("/app", True, 120),)
    assert inside.ran[1] == ("web-5d-x", "app", "test", "-w", "/app")
    assert found.template is not None and (found.template.container, found.template.user) == ("app", 1000)


async def test_an_image_without_these_programs_is_unknown(api: client.Client, inside: Inside) -> None:
    missing = 'exec: "test": executable file not found in $PATH'
    inside.answers = dict.fromkeys(("id", "test", "du"), errors.ExecError(f"test could not be run: {missing}"))
    inside.answers["du"] = errors.ForbiddenError("you may not create pods/exec")
    (pod,) = (await look(api)).pods
    assert pod.uid == facts.Unknown("the image has no `id` to find it out with")
    assert pod.places == (
        facts.Place(
            "/app",
            facts.Unknown("the image has no `test` to find it out with"),
            facts.Unknown("you may not create pods/exec"),
        ),
    )


async def test_a_folder_that_the_user_may_not_write_and_one_that_is_missing(api: client.Client, inside: Inside) -> None:
    inside.answers["test"] = execute.Result(1, b"", b"")
    inside.answers["du"] = execute.Result(1, b"", b"du: /app: No such file or directory\n")
    (pod,) = (await look(api)).pods
    assert pod.places[0].writable is False
    assert pod.places[0].kib == facts.Unknown("du of /app: du: /app: No such file or directory")


async def test_an_agent_that_cannot_be_asked(api: client.Client, inside: Inside) -> None:
    inside.hello = errors.SkewError("another major")
    (pod,) = (await look(api)).pods
    assert pod.hello is inside.hello


async def test_an_agent_that_waits_is_not_asked(server: fake_api.FakeApi, api: client.Client, inside: Inside) -> None:
    there(server, test_pods.raw(agent=test_pods.PULLING, app=test_pods.PULLING))
    (pod,) = (await look(api)).pods
    assert (pod.agent, pod.hello, pod.running) == ("waiting", None, False)
    assert "ImagePullBackOff" in pod.state and inside.ran == []


async def test_only_living_pods_of_the_workload_count(
    server: fake_api.FakeApi, api: client.Client, inside: Inside
) -> None:
    stranger = test_pods.raw("other-1")
    stranger["metadata"]["ownerReferences"] = []
    there(server, test_pods.raw(), test_pods.raw("gone", terminating=True), stranger)
    assert [pod.name for pod in (await look(api)).pods] == ["web-5d-x"]


async def test_of_many_pods_a_few_are_looked_into(server: fake_api.FakeApi, api: client.Client, inside: Inside) -> None:
    there(server, *(test_pods.raw(f"web-5d-{number}") for number in range(look_pods.MOST + 1)))
    found = (await look(api)).pods
    assert [isinstance(pod.hello, facts.Hello) for pod in found] == [True] * look_pods.MOST + [False]


async def test_a_workload_that_is_not_there_is_an_error(server: fake_api.FakeApi, api: client.Client) -> None:
    found = await look_pods.look(api, "web", spec(workload="deployment/wed"), SERVER)
    assert isinstance(found.error, errors.NotThereError) and found.whose == "deployment/wed"


async def test_a_selector_is_judged_by_its_first_pod(server: fake_api.FakeApi, api: client.Client) -> None:
    there(server)
    found = await look(api, workload=None, selector={"app": "web"})
    assert (found.whose, found.template, found.pods) == ("the selector", None, ())


# ---- templates ----------------------------------------------------------------------------------------------------


def template(raw: dict[str, Any], **more: Any) -> facts.Template:
    return look_pods.template_of(raw["spec"]["template"], "web", spec(**more), SERVER)


def test_several_containers_and_none_named() -> None:
    found = template(deployment(APP, {**APP, "name": "side"}))
    assert found.container is None and [each.code for each in found.obstacles] == ["DL0802"]
    assert template(deployment(APP, {**APP, "name": "side"}), container="side").container == "side"


def test_nobody_says_which_user() -> None:
    found = template(deployment({"name": "app", "image": "app"}))
    assert found.user is None and [each.code for each in found.obstacles] == ["DL0803"]
    assert template(deployment({"name": "app", "image": "app"}), run_as="5:6").user == 5
    whole = deployment({"name": "app", "image": "app"}, securityContext={"runAsUser": 7})
    assert template(whole, run_as="5").user == 7


def test_the_agents_container_is_not_the_apps() -> None:
    found = template(deployment(APP, {"name": "devloop-agent", "image": "agent"}))
    assert (found.containers, found.container) == (("app",), "app")


def test_a_read_only_root_and_a_supervised_app() -> None:
    security = {**APP["securityContext"], "readOnlyRootFilesystem": True}
    found = template(deployment({**APP, "securityContext": security}), reload="supervise", command=["run"])
    assert found.read_only and found.supervised
