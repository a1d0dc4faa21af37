"""`devloop run`: a command here with the pod's variables, and no secret in what devloop says."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli import laptop
from tests.unit.kube import fake_api

BASE = "/api/v1/namespaces/dev"
PW = "hunter2-secret"


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[laptop.Laptop]:
    with laptop.made(tmp_path) as made:
        ref = {"secretKeyRef": {"name": "sec", "key": "pw"}}
        env = [{"name": "A", "value": "1"}, {"name": "PW", "valueFrom": ref}, {"name": "URL", "value": "x://$(PW)"}]
        made.has_pod(env=[*env, {"name": "PATH", "value": "/pods/own"}])
        secret = {"data": {"pw": base64.b64encode(PW.encode()).decode()}}
        made.server.on("GET", f"{BASE}/secrets/sec", fake_api.giving(secret))
        yield made


def test_the_command_has_the_variables_and_the_end_is_its_own(mine: laptop.Laptop) -> None:
    done = mine.run("run", "--service", "web", "--", "sh", "-c", 'echo "$A $URL"; exit 9')
    assert (done.returncode, done.stdout, done.stderr) == (9, f"1 x://{PW}\n", "")
    assert mine.run("run", "--service", "web", "--", "sh", "-c", "kill -TERM $$").returncode == -15
    done = mine.run("run", "--service", "web", "--", "no-such-1")
    assert done.returncode == 127 and "on this machine" in done.stderr
    done = mine.run("run", "--service", "web", "--exclude", "U*", "-v", "--", "sh", "-c", 'echo "[$URL]"')
    assert done.stdout == "[]\n" and "left alone: PATH, URL" in done.stderr


def test_what_is_shown_is_masked(mine: laptop.Laptop) -> None:
    done = mine.run("run", "--service", "web", "--print", "-o", "json")
    assert json.loads(done.stdout) == {"A": "1", "PW": "***", "URL": "***"} and PW not in done.stderr
    done = mine.run("run", "--service", "web", "--include", "PATH", "--print")
    assert done.stdout == "A=1\nPATH=/pods/own\nPW=***\nURL=***\n"
    done = mine.run("run", "--service", "web", "--mask", "--", "sh", "-c", 'echo "$PW"; echo "$URL" >&2; exit 3')
    assert (done.returncode, done.stdout, done.stderr) == (3, "***\n", "***\n")


def test_a_closed_secret_is_read_from_the_process(mine: laptop.Laptop) -> None:
    mine.server.on("GET", f"{BASE}/secrets/sec", fake_api.refusing(403, "no"))
    (mine.folder / "bin").mkdir()
    cat = mine.folder / "bin/cat"
    cat.write_text(f"#!/bin/sh\nprintf 'A=1\\0PW={PW}\\0URL=x://{PW}\\0'\n")
    cat.chmod(0o755)
    mine.pod._env["PATH"] = f"{cat.parent}:{os.environ['PATH']}"
    done = mine.run("run", "--service", "web", "--print")
    assert done.stdout == "A=1\nPW=***\nURL=***\n" and "read from the running process" in done.stderr
    assert PW not in done.stderr and "you may not get secrets" in done.stderr
    done = mine.run("run", "--service", "web", "--from", "spec", "--", "sh", "-c", 'echo "[$PW]"')
    assert done.stdout == "[]\n" and "left out: PW" in done.stderr


def test_a_file_is_the_users_and_is_not_replaced(mine: laptop.Laptop) -> None:
    done = mine.run("run", "--service", "web", "--env-file", "e.env", "--", "true")
    assert done.returncode == 0 and "2 variables" not in done.stderr and "3 variables are in e.env" in done.stderr
    path = mine.folder / "e.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.read_text() == f"A=1\nPW={PW}\nURL=x://{PW}\n"
    assert mine.run("run", "--service", "web", "--env-file", "e.env").returncode == 1
    assert mine.run("run", "--service", "web", "--env-file", "e.env", "--force").returncode == 0
    assert mine.run("run", "--service", "web", "--env-file", "-").stdout == path.read_text()


def test_a_target_on_this_machine_has_its_own_variables(mine: laptop.Laptop) -> None:
    assert mine.run("run", "--service", "here", "--print").stdout == "A=1\n"


def test_nothing_to_do_is_said(mine: laptop.Laptop) -> None:
    done = mine.run("run", "--service", "web")
    assert done.returncode == 2 and "--print" in done.stderr
    done = mine.run("run", "--", "true")
    assert done.returncode == 2 and "web, here" in done.stderr
