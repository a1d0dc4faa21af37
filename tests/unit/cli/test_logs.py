"""`devloop logs`: what is asked, what is printed where, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from devloop.cli import clustered
from devloop.daemon import logs as eventlogs
from devloop.kube import client
from devloop.state import dirs
from devloop.sync import events
from tests.unit.cli.run import devloop
from tests.unit.kube import fake_api
from tests.unit.logs import node as nodes

PROJECT = """\
version: 1
services:
  web: {workload: deployment/web, sync: [{from: ./src, to: /app}]}
  here: {target: {local: ./t}, sync: [{from: ./a, to: /app}]}
"""

Happens = Callable[[nodes.Node], None]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[[Happens], None]:
    """Have the verb find a cluster in which something has happened."""
    Path("devloop.yaml").write_text(PROJECT)

    def found(happens: Happens) -> None:
        @contextlib.asynccontextmanager
        async def connection(*said: object) -> AsyncIterator[client.Client]:
            async with fake_api.serving() as server:
                made = nodes.Node(server)
                happens(made)
                try:
                    async with client.connect(server.cluster()) as api:
                        yield api
                finally:
                    made.end()

        monkeypatch.setattr(clustered, "connection", connection)

    return found


def two_pods(node: nodes.Node) -> None:
    for name in ("web-7d9aaaaaa-aaaaa", "web-7d9aaaaaa-bbbbb"):
        node.add(nodes.pod(name))
    node.write("web-7d9aaaaaa-aaaaa", b'{"level":"info","msg":"first"}')
    node.write("web-7d9aaaaaa-bbbbb", b"second")


def test_lines_of_all_pods_in_order(cluster: Callable[[Happens], None], capsys: pytest.CaptureFixture[str]) -> None:
    cluster(two_pods)
    ended = devloop(capsys, "logs", "web")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        'web-7d…aaa app | {"level":"info","msg":"first"}',
        "web-7d…bbb app | second",
    ]
    assert "INFO  first" in devloop(capsys, "logs", "web", "--pretty").out
    assert devloop(capsys, "logs", "web", "--grep", "sec").out == "web-7d…bbb app | second\n"
    assert "first" in devloop(capsys, "logs", "web", "--exclude", "sec", "--timestamps").out


def test_json_is_one_object_a_line(cluster: Callable[[Happens], None], capsys: pytest.CaptureFixture[str]) -> None:
    cluster(two_pods)
    lines = [json.loads(line) for line in devloop(capsys, "logs", "web", "-o", "json").out.splitlines()]
    assert [sorted(line) for line in lines] == [["container", "line", "pod", "restart", "service", "time"]] * 2


def test_one_container_has_no_prefix(cluster: Callable[[Happens], None], capsys: pytest.CaptureFixture[str]) -> None:
    def one(node: nodes.Node) -> None:
        node.add(nodes.pod("web-0"))
        node.write("web-0", b"a")

    cluster(one)
    assert devloop(capsys, "logs", "web").out == "a\n"
    assert devloop(capsys, "logs", "web", "--prefix").out == "web-0 app | a\n"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["wep"], 2, "did you mean web?"),
        (["--grep", "("], 2, "no regular expression"),
        (["--since", "nonsense"], 2, "5m"),
        (["--tail", "-1"], 2, "tail"),
        (["-f", "--previous"], 2, "exclude each other"),
        (["web", "-c", "ap"], 1, "did you mean app?"),
        (["web", "--previous"], 1, "DL0791"),
    ],
)
def test_bad_input_is_told_with_a_way_out(
    cluster: Callable[[Happens], None],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    told: str,
) -> None:
    cluster(two_pods)
    ended = devloop(capsys, "logs", *arguments)
    assert ended.status == status and told in ended.err and ended.out == ""
    assert ended.err.count("error[") == 1 and "Traceback" not in ended.err


def test_a_service_without_pods(cluster: Callable[[Happens], None], capsys: pytest.CaptureFixture[str]) -> None:
    cluster(lambda node: None)
    ended = devloop(capsys, "logs", "web")
    assert ended.status == 1 and "DL0760" in ended.err and "--follow" in ended.err


def test_a_missing_right_is_one_error(cluster: Callable[[Happens], None], capsys: pytest.CaptureFixture[str]) -> None:
    def forbidden(node: nodes.Node) -> None:
        two_pods(node)
        node.refusing += [fake_api.status(403, "no", "Forbidden") for _ in range(2)]

    cluster(forbidden)
    for arguments in (["logs", "web"], ["logs", "web", "-f"]):
        ended = devloop(capsys, *arguments)
        assert ended.status == 4 and ended.err.count("error[") == 1


def test_a_local_target_is_shown_from_the_watchs_log(
    cluster: Callable[[Happens], None], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster(lambda node: None)
    ended = devloop(capsys, "logs", "here")
    assert ended.status == 0 and eventlogs.NAME in ended.err and "devloop watch" in ended.err
    path = Path(dirs.project(os.getcwd()).logs) / eventlogs.NAME
    told = events.Output(time=1.0, service="here", source="app", lines=("hello", "\x1b[2Jyou"))
    path.write_bytes(events.to_json(told) + b"\n")
    ended = devloop(capsys, "logs", "here")
    assert (ended.status, ended.out, ended.err) == (0, "hello\nyou\n", "")
    assert devloop(capsys, "logs", "here", "--previous").status == 2


def test_the_name_of_the_watchs_log_is_the_same_here_and_there() -> None:
    from devloop.cli import readlogs

    assert readlogs.EVENTS == eventlogs.NAME


def run(*arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", "from devloop.cli.main import main; main()", "logs", *arguments]
    # Without a buffer Python gives up a write that a pipe took in part, and does not hear that it broke.
    env = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)


def local_lines(count: int) -> None:
    Path("devloop.yaml").write_text(PROJECT)
    told = events.Output(time=1.0, service="here", source="app", lines=tuple(f"{number}" for number in range(count)))
    path = Path(dirs.project(os.getcwd()).logs) / eventlogs.NAME
    path.write_bytes(events.to_json(told) + b"\n")


def test_a_reader_that_leaves_ends_it_silently() -> None:
    local_lines(200_000)
    with run("here") as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_on_a_leash_it_ends_with_its_standard_input() -> None:
    local_lines(1)
    with run("here", "-f", "--leashed", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"0\n"
        process.stdin.close()
        assert process.wait(20) == 1
        assert b"Traceback" not in process.stderr.read()


def test_ctrl_c_ends_it_cleanly() -> None:
    local_lines(1)
    with run("here", "-f") as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"0\n"
        process.send_signal(2)
        assert process.wait(20) == 130
        assert b"Traceback" not in process.stderr.read()
