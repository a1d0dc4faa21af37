"""Commands and shells in pods: bytes, statuses, terminals, signals, and what goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import cluster, loop, project, shapes, space, weather


@pytest.fixture
def plain(ns: space.Space, tmp_path: Path, app_image: str) -> project.Project:
    """A project whose pod has no agent: exec needs none."""
    ns.apply(loop.deployment(app_image, "/bin/sleep", "infinity"))
    ns.admin("rollout", "status", "deployment/web", "--timeout=60s")
    return project.Project(tmp_path / "laptop", ns, ns.developer(), loop.service())


def running(made: project.Project, what: str) -> bool:
    (pod,) = loop.living(made.where)
    return what in made.where.exec(pod, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", container=shapes.APP)


def test_streams_statuses_and_signals_are_the_commands(plain: project.Project) -> None:
    done = plain.raw("exec", "web", "--", "sh", "-c", r"printf '\0\377\n'; echo err >&2; exit 42")
    assert (done.returncode, done.stdout, done.stderr) == (42, b"\0\xff\n", b"err\n")
    assert plain.run("exec", "web", "--", "sh", "-c", "kill -KILL $$").returncode == 137
    assert plain.run("exec", "web", "--", "true").returncode == 0
    with plain.started("exec", "web", "--", "sh", "-c", "echo up; sleep 3131") as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        assert running(plain, "sleep 3131")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in {130, 143}
    assert not running(plain, "sleep 3131")


def test_the_end_of_input_arrives(plain: project.Project) -> None:
    done = plain.raw("exec", "-i", "web", "--", "sh", "-c", "cat | wc -c", told=b"x" * 12345)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, b"12345", b"")
    # One that ends before its input does.
    done = plain.raw("exec", "-i", "web", "--", "head", "-c", "3", told=b"abc" * 2_000_000)
    assert (done.returncode, done.stdout) == (0, b"abc")
    # Without -i there is none.
    assert plain.raw("exec", "web", "--", "wc", "-c", told=b"xx").stdout.strip() == b"0"


def test_64_mb_each_way(plain: project.Project) -> None:
    sent = os.urandom(64 * 1024 * 1024)
    digest = hashlib.sha256(sent).hexdigest()
    done = plain.raw("exec", "-i", "web", "--", "sha256sum", told=sent)
    assert done.stdout.decode().split()[0] == digest, done.stderr
    done = plain.raw("exec", "-i", "web", "--", "cat", told=sent)
    assert hashlib.sha256(done.stdout).hexdigest() == digest and done.returncode == 0


def test_a_terminal(plain: project.Project) -> None:
    with plain.at_terminal("shell") as screen:
        screen.until(r"[$#] ")
        screen.type("stty size\r")
        screen.until(r"24 80\r\n")
        screen.resize(40, 123)
        screen.type("sleep 0.3; stty size\r")
        screen.until(r"40 123\r\n")
        # Ctrl-C is for what runs there, and the shell goes on.
        screen.type("echo up-$((1+1)); sleep 4242\r")
        screen.until("up-2")
        screen.type("\x03")
        screen.type("echo st=$?\r")
        screen.until("st=130")
        assert not screen.is_as_before
        screen.type("exit 9\r")
        assert screen.end() == 9 and screen.is_as_before


def test_a_terminal_that_is_hung_up_takes_its_command_along(plain: project.Project) -> None:
    with plain.at_terminal("exec", "web", "--", "sh", "-c", "echo up; sleep 5151") as screen:
        screen.until("up")
        screen.process.send_signal(signal.SIGHUP)
        assert screen.end() == 128 + signal.SIGHUP and screen.is_as_before
    assert not running(plain, "sleep 5151")


def test_wrong_names_are_said(plain: project.Project) -> None:
    for words, status, told in (
        (("exec", "wbe", "--", "true"), 2, "did you mean web?"),
        (("exec", "web", "--", "no-such-program"), 127, "no program no-such-program"),
        (("exec", "web", "--pod", "web-x", "--", "true"), 1, "there is no pod web-x"),
        (("exec", "web", "-c", "ap", "--", "true"), 2, "it has app"),
    ):
        done = plain.run(*words)
        assert done.returncode == status and told in done.stderr, done
    plain.where.admin("delete", "rolebinding", "devloop")
    done = plain.run("exec", "web", "--", "true")
    assert done.returncode == 4 and "kubectl auth can-i" in done.stderr, done


def test_a_container_that_does_not_run_is_said_why(ns: space.Space, tmp_path: Path, app_image: str) -> None:
    ns.apply(loop.deployment("localhost/no-such-image:1", "/bin/sleep", "infinity"))
    made = project.Project(tmp_path / "laptop", ns, ns.developer(), loop.service())
    done = made.run("exec", "web", "--", "true")
    assert done.returncode == 126 and re.search("does not run: .*Image", done.stderr), done
    ns.admin("scale", "deployment/web", "--replicas=0")
    ns.admin("wait", "--for=delete", "pod", "-l", "app=web", "--timeout=60s")
    done = made.run("exec", "web", "--", "true")
    assert done.returncode == 1 and "has no pods that live" in done.stderr, done


def test_a_cut_line_is_said_and_the_terminal_given_back(ns: space.Space, tmp_path: Path, app_image: str) -> None:
    ns.apply(loop.deployment(app_image, "/bin/sleep", "infinity"))
    ns.admin("rollout", "status", "deployment/web", "--timeout=60s")
    server = ns.admin.json("config", "view", "--raw", "--minify")["clusters"][0]["cluster"]["server"]
    with weather.line_to(server) as line:
        made = project.Project(tmp_path / "laptop", ns, ns.developer(server=line.server), loop.service())
        with made.at_terminal("exec", "web", "--", "sh", "-c", "echo up; sleep 60") as screen:
            screen.until("up")
            line.cut()
            assert screen.end() == 5 and screen.is_as_before
            screen.until(r"error\[DL0753\].*was cut")
        # A line that only goes silent is found, too.
        with made.at_terminal("exec", "web", "--", "sh", "-c", "echo up; sleep 60") as screen:
            screen.until("up")
            line.stall()
            assert screen.end() == 5 and screen.is_as_before
            line.clear()


def test_an_image_without_a_shell(whole: cluster.Cluster, bench: loop.Bench, ns: space.Space, tmp_path: Path) -> None:
    """The app's image has nothing of a system: the shell is the busybox that the launcher brought."""
    service = loop.service(
        reload={"mode": "supervise"}, command=["/devloop/tools/busybox", "sleep", "infinity"], run_as="1000"
    )

    (tmp_path / "bare").mkdir()
    (tmp_path / "bare/nothing").touch()
    image = "localhost/devloop-bare:nothing"
    whole.folder_image(image, tmp_path / "bare", ["/nothing"])

    def bare(spec: dict[str, Any]) -> None:
        for each in spec["containers"]:
            if each["name"] == shapes.APP:
                each["image"] = image

    made = bench.make(services=service, alter=bare)
    ns.admin("rollout", "status", "deployment/web", "--timeout=90s")
    done = made.run("shell", "web", told="echo from-$0 in $(pwd); exit 7\n")
    assert done.returncode == 7, done
    assert "in /app" in done.stdout, done
    assert made.run("exec", "web", "--", "ls", "/devloop/tools").stdout.split() != []


def test_a_target_on_this_machine(ns: space.Space, tmp_path: Path) -> None:
    services = {"here": {"target": {"local": "./t"}, "env": {"A": "1"}, "sync": [{"from": "./web", "to": "/app"}]}}
    made = project.Project(tmp_path / "laptop", ns, ns.admin, services)
    made.write("web/x", "x")
    assert made.run("exec", "here", "--", "true").returncode == 1
    (made.folder / "t/app").mkdir(parents=True)
    done = made.run("exec", "here", "--", "sh", "-c", "echo $A $(pwd); exit 3")
    assert (done.returncode, done.stdout) == (3, f"1 {made.folder}/t/app\n")


def test_several_at_once(plain: project.Project) -> None:
    statuses: dict[int, int] = {}

    def one(number: int) -> None:
        statuses[number] = plain.run("exec", "web", "--", "sh", "-c", f"exit {number}").returncode

    threads = [threading.Thread(target=one, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == {number: number for number in range(1, 5)}


def test_the_developers_role_is_enough_and_needs_no_more(plain: project.Project) -> None:
    rules: list[dict[str, Any]] = json.loads(plain.where.admin("get", "role", "devloop", "-o", "json"))["rules"]
    assert not any("secrets" in rule["resources"] for rule in rules)
    assert plain.run("exec", "web", "--", "true").returncode == 0
