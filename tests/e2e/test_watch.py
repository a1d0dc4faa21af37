"""The main job on real pods: saved files arrive, the app reloads, and pods may do what pods do."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e import project, shapes, space, weather

# An app that says which code it runs, and which start it is, over HTTP on the pod's loopback.
APP: Final = """
import http.server, pathlib
SAID = pathlib.Path("page.txt").read_text()
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(SAID.encode())
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", 8000), Page).serve_forever()
"""

ASK: Final = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8000').read().decode(), end='')"


def deployment(image: str, *command: str, replicas: int = 1) -> dict[str, Any]:
    """Return a Deployment as a templates repository has it, under the rules of `restricted`."""
    made = shapes.pod("web", [shapes.container(shapes.APP, image, *command)])
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": made["spec"]},
        },
    }


def service(**more: Any) -> dict[str, Any]:
    return {"web": {"workload": "deployment/web", "sync": [{"from": "./web", "to": "/app", "seed": "none"}], **more}}


def living(ns: space.Space) -> list[str]:
    return [pod["metadata"]["name"] for pod in ns.pods("app=web") if "deletionTimestamp" not in pod["metadata"]]


def shown(ns: space.Space, path: str) -> list[str]:
    """Return a file's text in every living pod."""
    return [ns.read(pod, path, shapes.APP) for pod in living(ns)]


class Bench:
    """A project whose Deployment runs with the agent in it."""

    def __init__(self, ns: space.Space, folder: Path, agent_image: str, app_image: str) -> None:
        self.ns = ns
        self.folder = folder
        self.agent_image, self.app_image = agent_image, app_image

    def make(
        self, *command: str, replicas: int = 1, server: str = "", services: dict[str, Any] | None = None
    ) -> project.Project:
        developer = self.ns.developer(server=server)
        made = project.Project(self.folder / "laptop", self.ns, developer, services or service())
        made.write("web/page.txt", "first")
        plain = deployment(self.app_image, *(command or ("/bin/sleep", "infinity")), replicas=replicas)
        self.ns.apply(*made.injected(plain, image=self.agent_image))
        return made


@pytest.fixture
def bench(ns: space.Space, tmp_path: Path, agent_image: str, app_image: str) -> Bench:
    return Bench(ns, tmp_path, agent_image, app_image)


def test_a_saved_file_is_in_every_pod(bench: Bench) -> None:
    made = bench.make(replicas=2)
    with project.watching(made):
        assert shown(bench.ns, "/app/page.txt") == ["first", "first"]
        made.write("web/page.txt", "second")
        made.write("web/deep/new.txt", "new")
        made.flush()
        assert shown(bench.ns, "/app/page.txt") == ["second", "second"]
        assert shown(bench.ns, "/app/deep/new.txt") == ["new", "new"]
        states = made.states()
        assert states["state"] == "in sync"
        assert sorted(each["name"] for each in states["targets"]) == sorted(living(bench.ns))
        assert [each["state"] for each in states["targets"]] == ["ready", "ready"]


def test_once_ends_when_everything_is_in_every_pod(bench: Bench) -> None:
    made = bench.make()
    bench.ns.wait("deployment", "web", lambda found: bool(found["status"].get("readyReplicas")), "a ready pod")
    made.ok("watch", "--once")
    assert shown(bench.ns, "/app/page.txt") == ["first"]


def test_a_change_restarts_the_app_in_place_and_a_crash_waits_for_the_fix(bench: Bench) -> None:
    command = ["python3", "-u", "app.py"]
    services = service(command=command, reload={"mode": "supervise", "grace": "2s"}, wait_first_sync=True)
    made = bench.make(services=services)
    made.write("web/app.py", APP)
    with project.watching(made) as watch:
        watch.until("app", lambda event: event["phase"] == "running")
        (pod,) = living(bench.ns)
        _until_said(bench.ns, pod, "first")
        made.write("web/page.txt", "second")
        _until_said(bench.ns, pod, "second")
        made.write("web/app.py", "raise SystemExit('broken on purpose')\n")
        watch.until("app", lambda event: event["phase"] in {"backoff", "crashed"})
        made.write("web/app.py", APP)
        _until_said(bench.ns, pod, "second")
        state = space.container_state(bench.ns.get("pod", pod), shapes.APP)
        assert state["restartCount"] == 0


def _until_said(ns: space.Space, pod: str, words: str) -> None:
    """Ask the app in its container until it says what it should; it is away between two starts."""
    script = f"""
import time, urllib.request
until = time.monotonic() + 40
while True:
    try:
        said = urllib.request.urlopen('http://127.0.0.1:8000', timeout=2).read().decode()
    except OSError as error:
        said = str(error)
    if said == {words!r}: break
    assert time.monotonic() < until, said
    time.sleep(0.1)
"""
    ns.exec(pod, "python3", "-c", script, container=shapes.APP)


def test_a_pod_that_is_deleted_is_replaced_and_in_sync_again(bench: Bench) -> None:
    made = bench.make()
    with project.watching(made) as watch:
        (before,) = living(bench.ns)
        bench.ns.admin("delete", "pod", before, "--wait=false")
        watch.until("link", lambda event: event["up"] and event["target"] != before)
        made.write("web/page.txt", "second")
        made.flush()
        (after,) = living(bench.ns)
        assert after != before
        assert shown(bench.ns, "/app/page.txt") == ["second"]


def test_a_rollout_and_scaling_keep_every_pod_in_sync(bench: Bench) -> None:
    made = bench.make()
    with project.watching(made) as watch:
        before = set(living(bench.ns))
        bench.ns.admin("rollout", "restart", "deployment/web")
        watch.until("link", lambda event: event["up"] and event["target"] not in before)
        made.write("web/page.txt", "second")
        made.flush()
        bench.ns.admin("rollout", "status", "deployment/web", "--timeout=60s")
        bench.ns.admin("scale", "deployment/web", "--replicas=3")
        bench.ns.admin("rollout", "status", "deployment/web", "--timeout=60s")
        made.flush()
        assert shown(bench.ns, "/app/page.txt") == ["second"] * 3
        bench.ns.admin("scale", "deployment/web", "--replicas=1")
        made.write("web/page.txt", "third")
        made.flush()
        bench.ns.wait("deployment", "web", lambda found: found["status"].get("replicas") == 1, "one pod")
        made.flush()
        assert shown(bench.ns, "/app/page.txt") == ["third"]


def test_an_agent_that_is_killed_comes_back_with_what_it_had(bench: Bench) -> None:
    made = bench.make()
    with project.watching(made) as watch:
        (pod,) = living(bench.ns)
        kill = "import os, signal; os.kill(1, signal.SIGKILL); os.kill(1, signal.SIGTERM)"
        bench.ns.exec(pod, "python", "-c", kill, container=shapes.AGENT)
        watch.until("link", lambda event: not event["up"])
        made.write("web/page.txt", "second")
        watch.until("link", lambda event: event["up"])
        made.flush()
        assert shown(bench.ns, "/app/page.txt") == ["second"]


@pytest.mark.parametrize("what", ["stall", "cut"])
def test_a_line_that_is_stalled_or_cut_is_noticed_and_nothing_is_lost(bench: Bench, what: str, whole: Any) -> None:
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
            assert shown(bench.ns, "/app/page.txt") == ["second"]


def test_a_laptop_that_sleeps_goes_on_when_it_wakes_up(bench: Bench) -> None:
    made = bench.make()
    with project.watching(made) as watch:
        watch.process.send_signal(signal.SIGSTOP)
        (before,) = living(bench.ns)
        bench.ns.admin("delete", "pod", before, "--wait=true", "--grace-period=1")
        made.write("web/page.txt", "second")
        watch.process.send_signal(signal.SIGCONT)
        watch.until("link", lambda event: event["up"] and event["target"] != before)
        made.flush()
        assert shown(bench.ns, "/app/page.txt") == ["second"]


def test_a_second_laptop_is_told_who_has_the_pods(bench: Bench, tmp_path: Path) -> None:
    made = bench.make()
    with project.watching(made):
        other = project.Project(tmp_path / "other", bench.ns, bench.ns.developer(), service(), person="ben")
        other.write("web/page.txt", "theirs")
        done = other.run("watch", "--once")
        assert done.returncode == 7, done.stderr
        assert "is being synced by" in done.stderr
        assert "--takeover" in done.stderr
        made.flush()
    assert shown(bench.ns, "/app/page.txt") == ["first"]
