"""The main job on real pods: saved files arrive, the app reloads, and pods may do what pods do."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import loop, project, shapes, space, weather


def test_a_saved_file_is_in_every_pod(bench: loop.Bench) -> None:
    made = bench.make(replicas=2)
    with project.watching(made):
        assert loop.shown(bench.ns, "/app/page.txt") == ["first", "first"]
        made.write("web/page.txt", "second")
        made.write("web/deep/new.txt", "new")
        made.flush()
        assert loop.shown(bench.ns, "/app/page.txt") == ["second", "second"]
        assert loop.shown(bench.ns, "/app/deep/new.txt") == ["new", "new"]
        states = made.states()
        assert states["state"] == "in sync"
        assert sorted(each["name"] for each in states["targets"]) == sorted(loop.living(bench.ns))
        assert [each["state"] for each in states["targets"]] == ["ready", "ready"]


def test_once_ends_when_everything_is_in_every_pod(bench: loop.Bench) -> None:
    made = bench.make()
    bench.ns.wait("deployment", "web", lambda found: bool(found["status"].get("readyReplicas")), "a ready pod")
    made.ok("watch", "--once")
    assert loop.shown(bench.ns, "/app/page.txt") == ["first"]


def test_a_change_restarts_the_app_in_place_and_a_crash_waits_for_the_fix(bench: loop.Bench) -> None:
    command = ["python3", "-u", "app.py"]
    services = loop.service(command=command, reload={"mode": "supervise", "grace": "2s"}, wait_first_sync=True)
    made = bench.make(services=services)
    made.write("web/app.py", loop.APP)
    with project.watching(made) as watch:
        watch.until("app", lambda event: event["phase"] == "running")
        (pod,) = loop.living(bench.ns)
        loop.until_said(bench.ns, pod, "first")
        made.write("web/page.txt", "second")
        loop.until_said(bench.ns, pod, "second")
        made.write("web/app.py", "raise SystemExit('broken on purpose')\n")
        watch.until("app", lambda event: event["phase"] in {"backoff", "crashed"})
        made.write("web/app.py", loop.APP)
        loop.until_said(bench.ns, pod, "second")
        state = space.container_state(bench.ns.get("pod", pod), shapes.APP)
        assert state["restartCount"] == 0


def test_a_hook_runs_in_the_apps_container_also_without_a_launcher(bench: loop.Bench) -> None:
    script = "import os; open('ran', 'w').write(os.getcwd() + ' ' + open('page.txt').read())"
    services = loop.service(on_change=[{"paths": ["page.txt"], "run": ["python3", "-c", script]}])
    made = bench.make(services=services)
    with project.watching(made) as watch:
        made.write("web/page.txt", "second")
        done = watch.until("command_done")
        assert done["ok"], done
        made.flush()
        (pod,) = loop.living(bench.ns)
        assert bench.ns.read(pod, "/app/ran", shapes.APP) == "/app second"


def test_a_pod_that_is_deleted_is_replaced_and_in_sync_again(bench: loop.Bench) -> None:
    made = bench.make()
    with project.watching(made) as watch:
        (before,) = loop.living(bench.ns)
        bench.ns.admin("delete", "pod", before, "--wait=false")
        watch.until("link", lambda event: event["up"] and event["target"] != before)
        made.write("web/page.txt", "second")
        made.flush()
        (after,) = loop.living(bench.ns)
        assert after != before
        assert loop.shown(bench.ns, "/app/page.txt") == ["second"]


def test_a_rollout_and_scaling_keep_every_pod_in_sync(bench: loop.Bench) -> None:
    made = bench.make()
    with project.watching(made) as watch:
        before = set(loop.living(bench.ns))
        bench.ns.admin("rollout", "restart", "deployment/web")
        watch.until("link", lambda event: event["up"] and event["target"] not in before)
        made.write("web/page.txt", "second")
        made.flush()
        bench.ns.admin("rollout", "status", "deployment/web", "--timeout=60s")
        bench.ns.admin("scale", "deployment/web", "--replicas=3")
        bench.ns.admin("rollout", "status", "deployment/web", "--timeout=60s")
        made.flush()
        assert loop.shown(bench.ns, "/app/page.txt") == ["second"] * 3
        bench.ns.admin("scale", "deployment/web", "--replicas=1")
        made.write("web/page.txt", "third")
        made.flush()
        bench.ns.wait("deployment", "web", lambda found: found["status"].get("replicas") == 1, "one pod")
        made.flush()
        assert loop.shown(bench.ns, "/app/page.txt") == ["third"]


def test_while_a_rollout_hangs_the_pods_of_both_versions_are_in_sync(bench: loop.Bench) -> None:
    made = bench.make()
    with project.watching(made) as watch:
        (old,) = loop.living(bench.ns)
        never = {"exec": {"command": ["false"]}, "periodSeconds": 1}
        change = [{"op": "add", "path": "/spec/template/spec/containers/0/readinessProbe", "value": never}]
        bench.ns.admin("patch", "deployment", "web", "--type=json", "-p", json.dumps(change))
        new = watch.until("link", lambda event: event["up"] and event["target"] != old)["target"]
        made.write("web/page.txt", "second")
        made.flush()
        assert {bench.ns.read(pod, "/app/page.txt", shapes.APP) for pod in (old, new)} == {"second"}
        # Ready or not, and each told as it is.
        states = {each["name"]: (each["state"], each["synced"]) for each in made.states()["targets"]}
        assert states == {old: ("ready", True), new: ("not ready", True)}
        bench.ns.admin("rollout", "undo", "deployment/web")
        watch.until("link", lambda event: event["gone"] and event["target"] == new)
        made.write("web/page.txt", "third")
        made.flush()
        assert bench.ns.read(old, "/app/page.txt", shapes.APP) == "third"


def test_a_deployment_that_is_made_anew_with_other_labels_is_in_sync_again_without_a_hand(bench: loop.Bench) -> None:
    made = bench.make()
    other = loop.deployment(bench.app_image, "/bin/sleep", "infinity")
    other["spec"]["selector"] = {"matchLabels": {"app": "shop"}}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "shop"}
    (again,) = made.injected(other, image=bench.agent_image)
    with project.watching(made) as watch:
        (before,) = loop.living(bench.ns)
        bench.ns.admin("delete", "deployment", "web", "--wait=true")
        made.write("web/page.txt", "second")
        bench.ns.apply(again)
        told = watch.until("notice", lambda event: "means other pods" in event["message"])
        assert "app=shop" in told["message"]
        watch.until("link", lambda event: event["up"] and event["target"] != before)
        made.flush()
        (pod,) = bench.ns.pods("app=shop")
        assert bench.ns.read(pod["metadata"]["name"], "/app/page.txt", shapes.APP) == "second"
        assert [each["name"] for each in made.states()["targets"]] == [pod["metadata"]["name"]]


def test_an_agent_that_is_killed_comes_back_with_what_it_had(bench: loop.Bench) -> None:
    made = bench.make()
    with project.watching(made) as watch:
        (pod,) = loop.living(bench.ns)
        kill = "import os, signal; os.kill(1, signal.SIGKILL); os.kill(1, signal.SIGTERM)"
        bench.ns.exec(pod, "python", "-c", kill, container=shapes.AGENT)
        watch.until("link", lambda event: not event["up"])
        made.write("web/page.txt", "second")
        watch.until("link", lambda event: event["up"])
        made.flush()
        assert loop.shown(bench.ns, "/app/page.txt") == ["second"]


@pytest.mark.parametrize("what", ["stall", "cut"])
def test_a_line_that_is_stalled_or_cut_is_noticed_and_nothing_is_lost(bench: loop.Bench, what: str, whole: Any) -> None:
    config = whole.admin.json("config", "view", "--minify")
    with weather.line_to(config["clusters"][0]["cluster"]["server"]) as line:
        made = bench.make(server=line.server)
        with project.watching(made) as watch:
            if what == "stall":
                line.stall()
            else:
                line.cut(refuse=True)
            watch.until("link", lambda event: not event["up"], patience_s=25)
            made.write("web/page.txt", "second")
            line.clear()
            watch.until("link", lambda event: event["up"])
            made.flush()
            assert loop.shown(bench.ns, "/app/page.txt") == ["second"]


def test_a_laptop_that_sleeps_goes_on_when_it_wakes_up(bench: loop.Bench) -> None:
    made = bench.make()
    with project.watching(made) as watch:
        watch.process.send_signal(signal.SIGSTOP)
        (before,) = loop.living(bench.ns)
        bench.ns.admin("delete", "pod", before, "--wait=true", "--grace-period=1")
        made.write("web/page.txt", "second")
        watch.process.send_signal(signal.SIGCONT)
        watch.until("link", lambda event: event["up"] and event["target"] != before)
        made.flush()
        assert loop.shown(bench.ns, "/app/page.txt") == ["second"]


def test_a_second_laptop_is_told_who_has_the_pods(bench: loop.Bench, tmp_path: Path) -> None:
    made = bench.make()
    with project.watching(made):
        other = project.Project(tmp_path / "other", bench.ns, bench.ns.developer(), loop.service(), person="ben")
        other.write("web/page.txt", "theirs")
        done = other.run("watch", "--once")
        assert done.returncode == 7, done.stderr
        assert "is being synced by" in done.stderr
        assert "--takeover" in done.stderr
        made.flush()
    assert loop.shown(bench.ns, "/app/page.txt") == ["first"]
