from __future__ import annotations

import json

import msgspec

from agent import settings
from devloop.podspec import containers, identity, names, places, request
from tests.unit.podspec import cases


def crew(service: request.Service, version: str = "1.30") -> containers.Crew:
    pod, platform = cases.pod(), cases.platform(version)
    found, _ = places.find(pod, 0, service, platform)
    app = {**pod["spec"]["containers"][0], "imagePullPolicy": "Always"}
    return containers.Crew(app, identity.User(1000, 2000), service, platform, tuple(found))


def test_the_tools_come_from_the_agents_image() -> None:
    made = containers.tools(crew(cases.service()))
    assert (made["image"], made["command"], made["args"]) == (
        cases.IMAGE,
        ["python", "-m", "agent"],
        ["tools", "/devloop/tools"],
    )


def test_the_seed_runs_the_apps_image_a_folder_at_a_time() -> None:
    service = cases.service(
        syncs=[{"to": "/app"}, {"to": "/b", "seed": ["x/$(y)", "z"]}, {"to": "/c", "seed": []}], persist=["/app/a b"]
    )
    made = containers.seed(crew(service))
    assert made is not None
    assert (made["image"], made["imagePullPolicy"]) == ("app:1", "Always")
    run = "/devloop/tools/busybox sh /devloop/tools/seed.sh"
    make = "/devloop/tools/busybox mkdir -p '/devloop/persist/app/a b/data'"
    (line,) = made["args"]
    assert line.splitlines() == [
        f"{run} /app /devloop/sync-0 '**'",
        f"{run} /b /devloop/sync-1 'x/$$(y)' z",
        f"if [ -d '/app/a b' ]; then {run} '/app/a b' '/devloop/persist/app/a b' '**'; else {make}; fi",
    ]
    assert [mount["name"] for mount in made["volumeMounts"]] == [
        "devloop-tools",
        "devloop-sync-0",
        "devloop-sync-1",
        "devloop-persist",
        "devloop-tools",
    ]


def test_without_anything_to_copy_there_is_no_seed() -> None:
    assert containers.seed(crew(cases.service(syncs=[{"to": "/app", "seed": []}]))) is None


def test_the_agents_arguments() -> None:
    made = containers.agent(crew(cases.service()), launcher=False)
    args = made["args"]
    assert json.loads(args[args.index("--roots") + 1])[0]["to"] == "/app"
    assert args[-2:] == ["--port", "7460"]
    assert made["restartPolicy"] == "Always"
    assert containers.agent(crew(cases.service()), launcher=True)["args"][-2:] == ["--launcher", "/devloop/run"]


def test_what_the_agent_may_dial_is_among_its_arguments() -> None:
    asked = crew(cases.service())
    platform = msgspec.structs.replace(asked.platform, allow_dial=("*.other", "10.0.0.0/8:5432"))
    args = containers.agent(msgspec.structs.replace(asked, platform=platform), launcher=False)["args"]
    assert args[-4:] == ["--allow-dial", "*.other", "--allow-dial", "10.0.0.0/8:5432"]
    assert settings.from_arguments(settings.parse(args)).allow_dial[1].port == 5432


def test_before_1_29_the_agent_is_a_container_like_others() -> None:
    assert "restartPolicy" not in containers.agent(crew(cases.service(), "1.28"), launcher=False)


def test_every_volume_has_a_limit() -> None:
    made = containers.volumes(crew(cases.service(syncs=[{"to": "/app", "size_limit": "1Gi"}])))
    limits = {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in made}
    assert limits == {names.TOOLS: "16Mi", names.RUN: "64Mi", names.KEY: "4Mi", "devloop-sync-0": "1Gi"}
