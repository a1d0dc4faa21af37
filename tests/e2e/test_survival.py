"""What happens to pods, laptops and the cluster while somebody works: nothing is lost, and nobody is told otherwise."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import devloop
from tests.e2e import cluster, loop, project, shapes, space

# How long the API server is away.
AWAY_S: Final = 30.0

BROKEN: Final = "raise SystemExit('broken on purpose')\n"


def target_of(made: project.Project, pod: str) -> dict[str, Any]:
    """Return what `devloop status` knows of a pod."""
    found = [each for each in made.states()["targets"] if each["name"] == pod]
    assert found, made.states()
    return dict(found[0])


def until(what: str, holds: Any, timeout_s: float = 60.0) -> None:
    """Ask again until something holds."""
    until_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until_s, what
        threading.Event().wait(0.2)


# ---- apps -----------------------------------------------------------------------------------------------------------


def test_a_fix_can_be_pushed_into_an_app_that_crashes_from_the_start(bench: loop.Bench) -> None:
    made = bench.make("sh", "-c", "cd /app && exec python3 app.py")
    made.write("web/app.py", BROKEN)
    with project.watching(made) as watch:
        told = watch.until("notice", lambda event: "CrashLoopBackOff" in event["message"])
        (pod,) = loop.living(bench.ns)
        assert pod in told["message"] and "kubectl logs" in told["hint"]
        states = made.states()
        assert states["state"] == "in sync"
        # in the words of a kubelet before the next try, or those of the end
        until("the app is said to crash", lambda: "exit 1" in target_of(made, pod)["state"])
        made.write("web/app.py", loop.APP)
        made.flush()
        bench.ns.ready(pod)
        loop.until_said(bench.ns, pod, "first")
        until("the pod is said to be ready", lambda: target_of(made, pod)["state"] == "ready")


def test_under_the_launcher_such_an_app_runs_at_once_after_the_fix(bench: loop.Bench) -> None:
    services = loop.service(command=["python3", "-u", "app.py"], reload={"mode": "supervise", "grace": "2s"})
    made = bench.make(services=services)
    made.write("web/app.py", BROKEN)
    with project.watching(made) as watch:
        watch.until("app", lambda event: event["phase"] in {"backoff", "crashed"})
        (pod,) = loop.living(bench.ns)
        made.write("web/app.py", loop.APP)
        watch.until("app", lambda event: event["phase"] == "running")
        loop.until_said(bench.ns, pod, "first")
        assert space.container_state(bench.ns.get("pod", pod), shapes.APP)["restartCount"] == 0


# ---- the cluster ----------------------------------------------------------------------------------------------------


@pytest.mark.disruptive
def test_a_kubelet_that_restarts_takes_nothing_along(bench: loop.Bench, whole: cluster.Cluster) -> None:
    made = bench.make()
    with project.watching(made):
        (pod,) = loop.living(bench.ns)
        whole.restart("kubelet")
        made.write("web/page.txt", "second")
        made.flush()
        assert loop.living(bench.ns) == [pod]
        assert loop.shown(bench.ns, "/app/page.txt") == ["second"]


@pytest.mark.disruptive
def test_an_api_server_that_is_away_is_waited_for(bench: loop.Bench, whole: cluster.Cluster) -> None:
    made = bench.make()
    with project.watching(made) as watch:
        (pod,) = loop.living(bench.ns)
        whole.stop("apiserver")
        try:
            watch.until("link", lambda event: not event["up"], patience_s=20)
            made.write("web/page.txt", "second")
            threading.Event().wait(AWAY_S)
            states = made.states()
            assert states["state"] == "connecting"
            assert target_of(made, pod)["detail"]
        finally:
            whole.start("apiserver")
        watch.until("link", lambda event: event["up"])
        made.flush()
        assert loop.shown(bench.ns, "/app/page.txt") == ["second"]
        assert "linked to" in watch.words()


def test_a_namespace_that_is_deleted_is_said_to_be_gone(bench: loop.Bench, whole: cluster.Cluster) -> None:
    made = bench.make()
    with project.watching(made) as watch:
        whole.admin("delete", "namespace", bench.ns.name, "--wait=false")
        told = watch.until("notice", lambda event: event["code"] in {"DL0730", "DL0721", "DL0720"}, patience_s=60)
        assert "goes on" in told["hint"]
        states = made.states()
        assert (states["state"], states["targets"]) == ("connecting", [])
        assert states["why"]
        before_s = cpu_s(watch)
        threading.Event().wait(3.0)
        assert cpu_s(watch) - before_s < 1.0, "it tries in a hot loop"
        assert "Traceback" not in watch.words()


def cpu_s(watch: project.Watch) -> float:
    """Return how much time of a processor a watching devloop has used."""
    fields = Path(f"/proc/{watch.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    # proc(5): utime and stime, in ticks
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- laptops and pods -----------------------------------------------------------------------------------------------


def test_a_laptop_that_is_gone_for_good_leaves_nothing_in_the_way(bench: loop.Bench) -> None:
    made = bench.make()
    made.write("web/old.txt", "old")
    with project.watching(made) as watch:
        watch.process.send_signal(signal.SIGKILL)
        watch.process.wait()
    (before,) = loop.living(bench.ns)
    bench.ns.admin("delete", "pod", before, "--grace-period=1")
    other = bench.laptop("other")
    other.write("web/page.txt", "second")
    with project.watching(other):
        (after,) = loop.living(bench.ns)
        assert after != before
        assert loop.shown(bench.ns, "/app/page.txt") == ["second"]
        assert bench.ns.exec(after, "ls", "/app", container=shapes.APP).split() == ["page.txt"]


def test_another_laptop_takes_over_what_a_dead_one_left_in_the_pod(bench: loop.Bench) -> None:
    made = bench.make()
    with project.watching(made) as watch:
        watch.process.send_signal(signal.SIGKILL)
        watch.process.wait()
    other = bench.laptop("other")
    other.write("web/page.txt", "second")
    with project.watching(other):
        assert loop.shown(bench.ns, "/app/page.txt") == ["second"]


def test_a_replica_that_hangs_is_named_and_the_other_goes_on(bench: loop.Bench) -> None:
    made = bench.make(replicas=2, alter=lambda spec: spec.update(shareProcessNamespace=True))
    with project.watching(made) as watch:
        slow, quick = loop.living(bench.ns)
        freeze(bench.ns, slow, signal.SIGSTOP)
        made.write("web/page.txt", "second")
        until("the quick one has it", lambda: bench.ns.read(quick, "/app/page.txt", shapes.APP) == "second")
        states = made.states()
        assert states["state"] == "syncing"
        assert {each["name"]: each["synced"] for each in states["targets"]} == {slow: False, quick: True}
        assert slow in made.run("status").stdout
        watch.until("link", lambda event: not event["up"] and event["target"] == slow, patience_s=20)
        freeze(bench.ns, slow, signal.SIGCONT)
        made.flush()
        assert loop.shown(bench.ns, "/app/page.txt") == ["second", "second"]


def test_of_two_replicas_the_quick_one_does_not_wait_for_the_slow_one(bench: loop.Bench) -> None:
    made = bench.make(replicas=2, alter=lambda spec: spec.update(shareProcessNamespace=True))
    large = random.Random(1).randbytes(6_000_000).hex()
    with project.watching(made):
        slow, quick = loop.living(bench.ns)
        with slowed(bench.ns, slow):
            made.write("web/large.txt", large)
            until("the quick one has it", lambda: target_of(made, quick)["synced"] and has(bench.ns, quick, large))
            states = made.states()
            assert (states["state"], target_of(made, slow)["synced"]) == ("syncing", False)
            # And the next one too, while the other is still at the first.
            made.write("web/page.txt", "second")
            until("the quick one has that", lambda: bench.ns.read(quick, "/app/page.txt", shapes.APP) == "second")
        made.flush()
        assert has(bench.ns, slow, large)
        assert loop.shown(bench.ns, "/app/page.txt") == ["second", "second"]


def has(ns: space.Space, pod: str, text: str) -> bool:
    """Say whether a pod has the large file whole."""
    sums = ns.exec(pod, "sh", "-c", "sha256sum /app/large.txt 2>/dev/null || true", container=shapes.APP).split()
    return sums[:1] == [hashlib.sha256(text.encode()).hexdigest()]


@contextlib.contextmanager
def slowed(ns: space.Space, pod: str) -> Iterator[None]:
    """Let a pod's agent run for a fortieth of the time only, but always again before its link counts as dead."""
    script = """
import os, signal, sys, time
ours = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()
        and {b"serve", b"--roots"} <= set(open(f"/proc/{name}/cmdline", "rb").read().split(b"\\0"))]
print("slowed", flush=True)
until = time.monotonic() + 60
while time.monotonic() < until and not os.path.exists("/devloop/run/quick"):
    for number, how_long in ((signal.SIGSTOP, 1.95), (signal.SIGCONT, 0.05)):
        for each in ours:
            os.kill(each, number)
        time.sleep(how_long)
"""
    argv = ns.admin.argv("exec", pod, "-c", shapes.AGENT, "--", "python", "-c", script)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "slowed\n"
        try:
            yield
        finally:
            ns.exec(pod, "python", "-c", "open('/devloop/run/quick', 'w').close()", container=shapes.AGENT)
            process.wait(30)


def freeze(ns: space.Space, pod: str, number: int) -> None:
    """Send a signal to a pod's agent, which sees the pod's other processes and is not the first of them."""
    script = f"""
import os
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) != os.getpid():
        words = open(f"/proc/{{name}}/cmdline", "rb").read().split(b"\\0")
        if b"serve" in words and b"--roots" in words:
            os.kill(int(name), {int(number)})
            print(name)
"""
    assert ns.exec(pod, "python", "-c", script, container=shapes.AGENT).strip()


# ---- attacks --------------------------------------------------------------------------------------------------------

# Takes the agent's port before it does, plays the websocket's part, and keeps what it is told.
THIEF: Final = """
import base64, hashlib, socket
listening = socket.create_server(("127.0.0.1", 7460))
while True:
    link, _ = listening.accept()
    link.settimeout(3)
    said = b""
    try:
        while b"\\r\\n\\r\\n" not in said:
            said += link.recv(65536) or exit(1)
        key = said.split(b"Sec-WebSocket-Key: ")[1].split(b"\\r\\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        link.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
                     b"Sec-WebSocket-Accept: " + accept + b"\\r\\n\\r\\n")
        while True:
            piece = link.recv(65536)
            if not piece: break
            said += piece
    except OSError:
        pass
    open("/app/.heard", "ab").write(said)
    link.close()
"""


def heard(ns: space.Space, pod: str) -> bytes:
    """Return what the thief was told."""
    return ns.exec(pod, "sh", "-c", "cat /app/.heard 2>/dev/null || true", container=shapes.APP).encode()


def test_a_process_that_took_the_agents_port_is_told_nothing(bench: loop.Bench) -> None:
    # an agent beside the app, as before 1.29
    made = bench.make("python3", "-u", "-c", THIEF, kube_version="1.28")
    with made.watch() as watch:
        told = watch.until("notice", lambda event: event["code"] == "DL0761")
        assert "cannot listen on 127.0.0.1:7460: Address already in use" in told["message"]
        states = made.states()
        assert states["state"] == "connecting"
        assert "Address already in use" in states["targets"][0]["state"]
        (pod,) = loop.living(bench.ns)
        assert heard(bench.ns, pod) == b""


@pytest.mark.kube(min="1.29")
def test_a_native_sidecar_has_its_port_first_or_says_that_it_has_not(bench: loop.Bench) -> None:
    """The app is started once the agent's process is, which may be before it listens: a thief may still be faster."""
    made = bench.make("python3", "-u", "-c", THIEF)
    with made.watch() as watch:
        told = watch.until("notice", lambda event: event["code"] in {"DL0764", "DL0761"})
        if told["code"] == "DL0764":
            assert "the app in" in told["message"]
            made.flush()
            assert made.states()["state"] == "in sync"
        else:
            assert "Address already in use" in told["message"]
            assert made.states()["state"] != "in sync"


# ---- versions -------------------------------------------------------------------------------------------------------


def built_with(bench: loop.Bench, patch: str) -> Callable[[dict[str, Any]], None]:
    """Return what lets a pod's agent be the image's own program, as if it had been built from a changed source."""

    def alter(spec: dict[str, Any]) -> None:
        # a native sidecar is among the init containers
        listed = [*spec["containers"], *spec.get("initContainers", [])]
        (agent,) = (each for each in listed if each["name"] == shapes.AGENT)
        run = f"import devloop; from devloop.protocol import version; {patch}; import agent.__main__ as it; it.main()"
        agent["command"] = ["python", "-c", run]

    return alter


@pytest.mark.parametrize(
    ("patch", "fix"),
    [
        ("version.MAJOR += 1; devloop.__version__ = '9.0.0'", "pip install --upgrade 'devloop-k8s==9.0.0'"),
        (
            "version.MAJOR -= 1; devloop.__version__ = '0.0.1'",
            f"use the agent image with the tag {devloop.__version__}",
        ),
    ],
)
@pytest.mark.parametrize("how", [("watch", "--once"), ("watch",)])
def test_an_agent_of_another_major_version_is_refused_with_the_fix(
    bench: loop.Bench, patch: str, fix: str, how: tuple[str, ...]
) -> None:
    made = bench.make(alter=built_with(bench, patch))
    done = made.run(*how)
    assert done.returncode == 6, done
    assert "error[DL0520]" in done.stderr and fix in done.stderr, done.stderr
    (pod,) = loop.living(bench.ns)
    # Nothing was sent to it.
    assert bench.ns.exec(pod, "ls", "-A", "/app", container=shapes.APP).split() == []
    told = {check["name"]: check for check in json.loads(made.run("doctor", "-o", "json").stdout)["checks"]}
    assert told["agent"]["level"] == "fail" and fix in told["agent"]["fix"]


def test_an_agent_of_another_minor_version_is_synced_to(bench: loop.Bench) -> None:
    newer = "version.MINOR += 1; version.FEATURES = version.FEATURES | {'telepathy'}; devloop.__version__ = '9.0.0'"
    made = bench.make(alter=built_with(bench, newer))
    with project.watching(made):
        made.write("web/page.txt", "second")
        made.flush()
        assert loop.shown(bench.ns, "/app/page.txt") == ["second"]
    told = {check["name"]: check for check in json.loads(made.run("doctor", "-o", "json").stdout)["checks"]}
    assert told["agent"]["level"] == "warn" and told["agent"]["text"].startswith("devloop 9.0.0, and this is")


def test_an_agent_that_lacks_a_feature_is_synced_to_without_it(bench: loop.Bench) -> None:
    made = bench.make(alter=built_with(bench, "version.FEATURES = frozenset()"))
    large = "x" * 200_000
    made.write("web/large.txt", large)
    with project.watching(made):
        # What a newer one would be sent as a delta, and as a copy.
        made.write("web/large.txt", large + "end")
        made.write("web/again.txt", large)
        made.flush()
        assert loop.shown(bench.ns, "/app/large.txt") == [large + "end"]
        assert loop.shown(bench.ns, "/app/again.txt") == [large]
