"""Logs of real containers: every line once, through restarts, replaced pods and a line that is cut."""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.e2e import cluster, loop, project, shapes, space, weather

# What each of three pods prints, 20,000 lines a second in all: who it is, which start, a number.
RATE: Final = 6_700
SECONDS: Final = 20

# Prints numbered lines at a rate for some seconds, or until it is told to end, and says how many in the end. The lines
# are so short that the kubelet does not rotate the log meanwhile (10 MiB).
CHATTER: Final = """
import os, signal, sys, time
rate, seconds = int(sys.argv[1]), float(sys.argv[2])
start = os.urandom(3).hex()
stopped = []
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda *_: stopped.append(1))
began, sent, every = time.monotonic(), 0, int(rate * seconds)
while sent < every and not stopped:
    due = min(int((time.monotonic() - began) * rate), every)
    if due > sent:
        os.write(1, "".join(f"{start} {n}\\n" for n in range(sent, due)).encode())
        sent = due
    time.sleep(0.01)
print(start, "end", sent, flush=True)
while not stopped:
    time.sleep(0.1)
"""

# Has a container's first process end, which a signal that it does not handle cannot do.
STOP: Final = "import os, signal; os.kill(1, signal.SIGUSR1)"


def chatter(rate: int = RATE, seconds: float = SECONDS) -> list[str]:
    return ["python3", "-u", "-c", CHATTER, str(rate), str(seconds)]


def logs_service(**more: Any) -> dict[str, Any]:
    return {"web": {"workload": "deployment/web", "sync": [{"from": "./web", "to": "/app"}], **more}}


def laptop(ns: space.Space, folder: Path, *, server: str = "") -> project.Project:
    made = project.Project(folder / "laptop", ns, ns.developer(server=server), logs_service())
    made.write("web/page.txt", "first")
    return made


def deployed(ns: space.Space, *containers: dict[str, Any], replicas: int = 1, **spec: Any) -> list[str]:
    """Make the Deployment and wait until its pods are ready; return their names."""
    made = loop.deployment(containers[0]["image"], "true", replicas=replicas)
    made["spec"]["template"]["spec"] |= {"containers": list(containers), **spec}
    ns.apply(made)
    ns.admin("rollout", "status", "deployment/web", "--timeout=60s")
    return loop.living(ns)


class Following:
    """`devloop logs -f -o json`, whose lines are taken as they come."""

    def __init__(self, made: project.Project, *arguments: str) -> None:
        self.lines: list[dict[str, Any]] = []
        self._more = threading.Condition()
        argv = made._argv("logs", "-f", "-o", "json", *arguments)
        self.process = subprocess.Popen(
            argv, cwd=made.folder, env=made._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._read_errors)]
        self.err = ""
        for each in self._threads:
            each.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as out:
            for line in out:
                with self._more:
                    self.lines.append(json.loads(line))
                    self._more.notify_all()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as err:
            for line in err:
                self.err += line.decode()

    def until(self, what: str, holds: Callable[[list[dict[str, Any]]], bool], patience_s: float = 90.0) -> None:
        with self._more:
            assert self._more.wait_for(lambda: holds(self.lines), patience_s), f"no {what}\n{self.err}"

    def until_lines(self, count: int) -> None:
        self.until(f"{count} lines", lambda lines: len(lines) >= count)

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(20)
        for each in self._threads:
            each.join(20)
        return status


@contextlib.contextmanager
def following(made: project.Project, *arguments: str) -> Iterator[Following]:
    subject = Following(made, *arguments)
    try:
        yield subject
    finally:
        if subject.process.poll() is None:
            subject.end()


def starts_of(lines: list[dict[str, Any]]) -> dict[tuple[str, str], list[int]]:
    """Return the numbers that each start of each pod printed, as they came; last its own count."""
    found: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
    for line in lines:
        start, *numbers = line["line"].split(" ")
        found[line["pod"], start].append(int(numbers[-1]))
    return found


def check_every_line_once(lines: list[dict[str, Any]]) -> None:
    for (pod, start), numbers in starts_of(lines).items():
        assert numbers == list(range(len(numbers))), f"{pod} {start}: {first_wrong(numbers)}"


def first_wrong(numbers: list[int]) -> str:
    at = next(at for at, number in enumerate(numbers) if number != at)
    return f"{numbers[max(0, at - 3) : at + 3]} at {at} of {len(numbers)}"


def ends(lines: list[dict[str, Any]]) -> int:
    return sum(1 for line in lines if " end " in line["line"])


def test_three_pods_at_20000_lines_a_second_through_a_restart_and_a_deletion(
    ns: space.Space, tmp_path: Path, app_image: str
) -> None:
    made = laptop(ns, tmp_path)
    pods = deployed(ns, shapes.container(shapes.APP, app_image, *chatter()), replicas=3)
    with following(made) as subject:
        subject.until("lines of all", lambda lines: len({line["pod"] for line in lines}) == 3)
        killed, deleted, _ = pods
        stop(ns, killed)
        ns.admin("delete", "pod", deleted, "--wait=false")
        # Three pods, and what came after the one that was ended and the one that was deleted.
        subject.until("the ends of all", lambda lines: ends(lines) == 5)
        assert subject.end() == 130
    check_every_line_once(subject.lines)
    found = starts_of(subject.lines)
    assert {line["restart"] for line in subject.lines if line["pod"] == killed} == {0, 1}
    assert len(found) == 5 and len({pod for pod, _ in found}) == 4
    assert sum(len(numbers) == RATE * SECONDS + 1 for numbers in found.values()) == 3
    assert "missing" not in subject.err


def test_a_line_that_is_cut_again_and_again_loses_nothing(
    ns: space.Space, whole: cluster.Cluster, tmp_path: Path, app_image: str
) -> None:
    server = ns.admin.json("config", "view", "--minify")["clusters"][0]["cluster"]["server"]
    with weather.line_to(server) as line:
        made = laptop(ns, tmp_path, server=line.server)
        deployed(ns, shapes.container(shapes.APP, app_image, *chatter(2000, 12)))
        with following(made) as subject:
            for count in (500, 4000, 8000, 12_000):
                subject.until_lines(count)
                line.cut()
            subject.until("its end", lambda lines: ends(lines) == 1)
    check_every_line_once(subject.lines)
    assert len(subject.lines) == 2000 * 12 + 1


def test_a_container_that_restarts_while_nobody_reads_is_read_to_its_end(
    ns: space.Space, whole: cluster.Cluster, tmp_path: Path, app_image: str
) -> None:
    server = ns.admin.json("config", "view", "--minify")["clusters"][0]["cluster"]["server"]
    with weather.line_to(server) as line:
        made = laptop(ns, tmp_path, server=line.server)
        (pod,) = deployed(ns, shapes.container(shapes.APP, app_image, *chatter(500, 3)))
        with following(made) as subject:
            subject.until("lines", lambda lines: len(lines) > 100)
            line.cut(refuse=True)
            stop(ns, pod)
            ns.wait("pod", pod, was_restarted, "the second run")
            line.clear()
            subject.until("both ends", lambda lines: ends(lines) == 2)
    check_every_line_once(subject.lines)
    assert [run for run, _ in itertools.groupby(line["restart"] for line in subject.lines)] == [0, 1]


def test_tail_previous_and_several_containers(ns: space.Space, tmp_path: Path, app_image: str) -> None:
    made = laptop(ns, tmp_path)
    said = shapes.container("side", app_image, "sh", "-c", "echo from the side; exec sleep 3600")
    setup = shapes.container("setup", app_image, "sh", "-c", "echo set up")
    app = shapes.container(shapes.APP, app_image, *chatter(1000, 0.1))
    (pod,) = deployed(ns, app, said, initContainers=[setup])
    until_printed(ns, pod, " end ")
    assert made.ok("logs", "--tail", "2", "-c", "app").split()[1:] == ["99", *made.ok("logs", "-c", "app").split()[-3:]]
    told = made.ok("logs").splitlines()
    assert told[0].endswith(" setup | set up") and any(line.endswith(" side | from the side") for line in told)
    assert len({line.split()[0] for line in told}) == 1 and pod.startswith(told[0].split("…")[0])
    assert made.ok("logs", "-c", "setup") == "set up\n"
    failed = made.run("logs", "-c", "sied")
    assert failed.returncode == 1 and "did you mean side?" in failed.stderr
    failed = made.run("logs", "--previous")
    assert failed.returncode == 1 and "DL0791" in failed.stderr and "hint:" in failed.stderr
    stop(ns, pod)
    ns.wait("pod", pod, was_restarted, "the second run")
    previous = made.ok("logs", "--previous", "-c", "app").splitlines()
    assert len(previous) == 101 and previous[-1].endswith(" end 100")


def test_long_lines_and_binary_rubbish(ns: space.Space, tmp_path: Path, app_image: str) -> None:
    made = laptop(ns, tmp_path)
    script = (
        "import os, time\n"
        "os.write(1, b'x' * 1048576 + b'\\n')\n"
        "os.write(1, bytes(range(256)) + b'\\n')\n"
        "os.write(1, b'\\x1b[2Jcleared\\x1b]0;title\\x07 \\xff\\n')\n"
        "os.write(1, b'the end\\n')\n"
        "time.sleep(3600)"
    )
    deployed(ns, shapes.container(shapes.APP, app_image, "python3", "-u", "-c", script))
    until("all is printed", lambda: made.run("logs", "--tail", "1").stdout == "the end\n")
    lines = [json.loads(line) for line in made.ok("logs", "-o", "json").splitlines()]
    pieces = [line for line in lines if line["line"].startswith("x")]
    assert "".join(line["line"] for line in pieces) == "x" * 1048576
    assert [line.get("more", False) for line in pieces] == [True] * (len(pieces) - 1) + [False]
    shown = made.ok("logs")
    assert not {chr(number) for number in range(32) if chr(number) not in "\n\t"} & set(shown)
    assert "cleared" in shown and "title" not in shown and shown.endswith("the end\n")


def test_a_service_without_pods_is_said_and_waited_for(ns: space.Space, tmp_path: Path, app_image: str) -> None:
    made = laptop(ns, tmp_path)
    failed = made.run("logs")
    assert failed.returncode == 1 and "deployment" in failed.stderr
    made_deployment = loop.deployment(app_image, "sh", "-c", "echo hello; exec sleep 3600", replicas=0)
    ns.apply(made_deployment)
    failed = made.run("logs")
    assert failed.returncode == 1 and "DL0760" in failed.stderr and "--follow" in failed.stderr
    with following(made) as subject:
        until("it is said", lambda: "waiting for one" in subject.err)
        ns.admin("scale", "deployment/web", "--replicas=1")
        subject.until("a line", lambda lines: [line["line"] for line in lines] == ["hello"])


def test_a_reader_that_leaves_ends_it_silently(ns: space.Space, tmp_path: Path, app_image: str) -> None:
    made = laptop(ns, tmp_path)
    (pod,) = deployed(ns, shapes.container(shapes.APP, app_image, *chatter(5000, 1)))
    until_printed(ns, pod, " end ")
    argv = made._argv("logs")
    with subprocess.Popen(
        argv, cwd=made.folder, env=made._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_without_the_right_the_verb_is_named(ns: space.Space, tmp_path: Path, app_image: str) -> None:
    made = laptop(ns, tmp_path)
    deployed(ns, shapes.container(shapes.APP, app_image, "sh", "-c", "echo hello; exec sleep 3600"))
    role = ns.get("role", "devloop")
    role["rules"] = [rule for rule in role["rules"] if "pods/log" not in rule["resources"]]
    ns.apply(role)
    failed = made.run("logs")
    assert failed.returncode == 4 and "get pods/log" in failed.stderr and failed.stderr.count("error[") == 1
    failed = made.run("logs", "-f")
    assert failed.returncode == 4 and "get pods/log" in failed.stderr


def test_a_watch_shows_them_and_loses_no_save(bench: loop.Bench) -> None:
    made = bench.make(*chatter(3000, 60))
    with project.watching(made, "--logs") as watch:
        (pod,) = loop.living(bench.ns)
        told = watch.until("output", lambda event: event.get("pod") == pod)
        assert told["container"] == shapes.APP and told["source"] == "log"
        for number in range(5):
            made.write("web/page.txt", f"save {number}")
            watch.until("sync_complete", lambda event: event["files"] == 1)
        assert loop.shown(bench.ns, "/app/page.txt") == ["save 4"]
        seen = [line for each in watch.events if each["event"] == "output" for line in each["lines"]]
        lost = sum(each["dropped"] for each in watch.events if each["event"] == "output")
        numbers = [int(line.split(" ")[1]) for line in seen]
        assert numbers == sorted(set(numbers))
        assert len(numbers) + lost == numbers[-1] - numbers[0] + 1


def stop(ns: space.Space, pod: str) -> None:
    """End the first process of a container, and with it the command that does so."""
    with contextlib.suppress(cluster.CommandError):
        ns.exec(pod, "python3", "-c", STOP, container=shapes.APP)


def was_restarted(pod: dict[str, Any]) -> bool:
    return bool(space.container_state(pod, shapes.APP).get("restartCount") == 1)


def until_printed(ns: space.Space, pod: str, words: str) -> None:
    until(f"{words!r} is printed", lambda: words in ns.logs(pod, shapes.APP))


def until(what: str, holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Ask again until something holds."""
    until_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until_s, what
        threading.Event().wait(0.2)
