"""Commands on the laptop with the variables of a pod, by its spec and by its process."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import loop, project, shapes, space

ODD = "two\nlines 'and' \"quotes\" $HOME `x`"

ENV: list[dict[str, Any]] = [
    {"name": "LIT", "value": "a-$(P_A)-$$(P_A)-$(NOPE)"},
    {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "sec", "key": "pw"}}},
    {"name": "URL", "value": "pg://u:$(PW)@h"},
    {"name": "OPT", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "none", "optional": True}}},
    {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
    {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
    {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
]
ENV_FROM = [
    {"prefix": "P_", "configMapRef": {"name": "conf"}},
    {"secretRef": {"name": "sec"}},
    {"configMapRef": {"name": "missing", "optional": True}},
]
SECRET = "hunter2-of-the-test"


@pytest.fixture
def made(ns: space.Space, tmp_path: Path, app_image: str) -> project.Project:
    """A pod with variables of every kind, and the Role that devloop ships."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"A": "map", "ODD": ODD}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sec"}, "stringData": {"pw": SECRET}}
    app = loop.deployment(app_image, "/bin/sleep", "infinity")
    container = app["spec"]["template"]["spec"]["containers"][0]
    container |= {"env": ENV, "envFrom": ENV_FROM, "resources": {"limits": {"memory": "64Mi", "cpu": "250m"}}}
    ns.apply(config, secret, app)
    ns.admin("rollout", "status", "deployment/web", "--timeout=60s")
    return project.Project(tmp_path / "laptop", ns, ns.developer(), loop.service())


def may_read_secrets(ns: space.Space) -> None:
    ns.admin("create", "role", "reader", "--verb=get", "--resource=secrets,configmaps")
    ns.admin("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={ns.name}:{space.ACCOUNT}")


def own(ns: space.Space) -> dict[str, str]:
    """Return what the container itself has."""
    (pod,) = loop.living(ns)
    said = ns.exec(pod, "python3", "-c", "import json, os; print(json.dumps(dict(os.environ)))", container=shapes.APP)
    found: dict[str, str] = json.loads(said)
    return found


def test_the_spec_makes_what_the_kubelet_made(made: project.Project) -> None:
    may_read_secrets(made.where)
    done = made.run("run", "--", "python3", "-c", "import json, os; print(json.dumps(dict(os.environ)))")
    assert done.returncode == 0 and done.stderr == "", done
    here, there = json.loads(done.stdout), own(made.where)
    names = ["LIT", "PW", "URL", "POD", "LABEL", "IP", "MEM", "CPU", "P_A", "P_ODD", "pw"]
    assert {name: here.get(name) for name in names} == {name: there.get(name) for name in names}
    assert here["LIT"] == "a-map-$(P_A)-$(NOPE)" and "OPT" not in here and "OPT" not in there
    assert here["PATH"] != there["PATH"] and "KUBERNETES_SERVICE_HOST" not in here


def test_the_shipped_role_goes_by_the_process_and_says_so(made: project.Project) -> None:
    done = made.run("run", "--", "sh", "-c", 'echo "$URL"; exit 7')
    assert done.returncode == 7 and done.stdout == f"pg://u:{SECRET}@h\n"
    assert "read from the running process" in done.stderr and "you may not get" in done.stderr
    assert SECRET not in done.stderr
    done = made.run("run", "--from", "spec", "--", "sh", "-c", 'echo "$PW-$POD"')
    assert done.stdout.startswith("-web-") and "not known, and left out: PW: you may not get secrets" in done.stderr


def test_what_is_printed_has_no_secret(made: project.Project) -> None:
    for origin in ("spec", "process"):
        if origin == "spec":
            may_read_secrets(made.where)
        for form in ("text", "json"):
            done = made.run("run", "--print", "--from", origin, "-o", form)
            assert done.returncode == 0 and SECRET not in done.stdout + done.stderr and "POD" in done.stdout
    done = made.run("run", "--mask", "--", "sh", "-c", 'echo "$PW $POD"; echo "$URL" >&2; exit 3')
    assert done.returncode == 3 and done.stdout.startswith("*** web-") and SECRET not in done.stderr


def test_a_file_for_others(made: project.Project) -> None:
    may_read_secrets(made.where)
    assert made.run("run", "--env-file", "e.env").returncode == 0
    path = made.folder / "e.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    script = 'set -a; . ./e.env; printf "%s|%s" "$P_ODD" "$PW"'
    said = subprocess.run(["sh", "-c", script], cwd=made.folder, capture_output=True, text=True, check=True).stdout
    assert said == f"{ODD}|{SECRET}"
    again = made.run("run", "--env-file", "e.env")
    assert again.returncode == 1 and "--force" in again.stderr
    docker = made.run("run", "--env-file", "-", "--env-format", "docker", "--exclude", "P*")
    assert "POD=" not in docker.stdout and f"URL=pg://u:{SECRET}@h\n" in docker.stdout
