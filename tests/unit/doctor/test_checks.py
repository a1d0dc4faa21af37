"""What facts of the machine and of the cluster mean."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from devloop import errors
from devloop.doctor import checks, facts, report
from devloop.doctor.report import Level

MACHINE = facts.Machine(
    python=(3, 12, 1),
    system="linux",
    git="git version 2.50",
    watches=100,
    instances=128,
    folders=(facts.Folder(service="web", label="web", folders=10),),
)
WAY = facts.Way("dev", "https://k8s", "mine")
SERVER = facts.Server(1, 30, "v1.30.1", 0.0)


def right(verb: str = "get", kind: str = "pods/exec", *, allowed: facts.Maybe[bool] = True) -> facts.Right:
    return facts.Right(verb, kind, f"kubectl auth can-i {verb} {kind}", allowed)


def seen(**changes: Any) -> facts.Cluster:
    whole: dict[str, Any] = {"way": WAY, "server": SERVER, "namespace_labels": {}, "chart": False, "base": (right(),)}
    return facts.Cluster(**{**whole, **changes})


def of_machine(**changes: Any) -> dict[str, report.Line]:
    return {line.name: line for line in checks.machine(msgspec.structs.replace(MACHINE, **changes))}


def of_cluster(**changes: Any) -> dict[str, report.Line]:
    return {line.name: line for line in checks.cluster(seen(**changes))}


def folders(count: facts.Maybe[int], backend: str = "inotify") -> tuple[facts.Folder, ...]:
    return (facts.Folder(service="web", label="web", folders=count, backend=backend),)


# ---- this machine -------------------------------------------------------------------------------------------------


def test_a_machine_where_all_is_well() -> None:
    assert {line.level for line in of_machine().values()} == {Level.PASS}


def test_an_old_python_fails_and_a_missing_git_does_not() -> None:
    found = of_machine(python=(3, 10, 2), git=facts.Unknown("git is not on PATH"))
    assert (found["python"].level, found["git"].level) == (Level.FAIL, Level.WARN)
    assert "3.11" in found["python"].fix and "install git" in found["git"].fix


@pytest.mark.parametrize(
    ("needed", "level", "part"),
    [(80, Level.PASS, "80 needed"), (81, Level.WARN, "editors"), (101, Level.WARN, "polled")],
)
def test_the_inotify_watches_that_are_needed(needed: int, level: Level, part: str) -> None:
    found = of_machine(folders=folders(needed))["inotify watches"]
    assert found.level is level and part in found.text
    assert found.fix.startswith("sudo sysctl fs.inotify.max_user_watches=") is (level is Level.WARN)


def test_what_is_polled_needs_no_watch_and_what_could_not_be_counted_is_left_out() -> None:
    found = of_machine(folders=folders(5000, "polling") + folders(facts.Unknown("slow")))
    assert found["inotify watches"].text.startswith("0 needed")


def test_inotify_instances() -> None:
    assert of_machine(instances=1)["inotify instances"].level is Level.WARN
    assert "max_user_instances=" in of_machine(instances=1)["inotify instances"].fix


def test_limits_that_the_system_does_not_tell_are_unknown_and_other_systems_have_none() -> None:
    found = of_machine(watches=0, instances=0)
    assert {found[name].level for name in ("inotify watches", "inotify instances")} == {Level.UNKNOWN}
    assert not [name for name in of_machine(system="darwin") if "inotify" in name]


# ---- the cluster --------------------------------------------------------------------------------------------------


def test_a_cluster_where_all_is_well() -> None:
    assert {line.level for line in of_cluster().values()} == {Level.PASS}


def test_nothing_is_said_of_a_cluster_behind_a_broken_kubeconfig() -> None:
    found = of_cluster(way=errors.ContextError("another one", hint="pass --context"))
    assert list(found) == ["kubeconfig"]
    assert (found["kubeconfig"].level, found["kubeconfig"].code) == (Level.FAIL, "DL0711")


@pytest.mark.parametrize(
    ("server", "level", "status"),
    [
        (errors.UnreachableError("no answer"), Level.FAIL, errors.Exit.UNREACHABLE),
        (errors.CredentialsError("who are you"), Level.FAIL, errors.Exit.AUTH),
        (facts.Unknown("no answer within 10 s"), Level.UNKNOWN, errors.Exit.ERROR),
    ],
)
def test_a_server_that_does_not_answer_is_the_last_line(server: Any, level: Level, status: errors.Exit) -> None:
    found = of_cluster(server=server)
    assert list(found) == ["kubeconfig", "API server"]
    assert (found["API server"].level, found["API server"].status) == (level, status)


@pytest.mark.parametrize(
    ("skew_s", "level", "part"),
    [
        (3.0, Level.PASS, "the same"),
        (61.0, Level.WARN, "61 s ahead"),
        (-300.0, Level.WARN, "300 s behind"),
        (None, Level.UNKNOWN, "does not tell"),
    ],
)
def test_the_clock(skew_s: float | None, level: Level, part: str) -> None:
    found = of_cluster(server=msgspec.structs.replace(SERVER, skew_s=skew_s))["clock"]
    assert found.level is level and part in found.text


def test_a_version_older_than_any_that_was_tried_is_told() -> None:
    assert of_cluster(server=facts.Server(1, 19, "v1.19.0", 0.0))["API server"].level is Level.WARN


@pytest.mark.parametrize(
    ("labels", "minor", "part"),
    [
        ({"pod-security.kubernetes.io/enforce": "restricted"}, 30, "restricted:"),
        ({}, 30, "no level"),
        ({}, 20, "PodSecurityPolicies"),
    ],
)
def test_pod_security(labels: dict[str, str], minor: int, part: str) -> None:
    server = facts.Server(1, minor, f"v1.{minor}", 0.0)
    assert part in of_cluster(namespace_labels=labels, server=server)["Pod Security"].text


def test_a_namespace_that_may_not_be_read_is_unknown_and_one_that_is_missing_fails() -> None:
    unread = of_cluster(namespace_labels=errors.ForbiddenError("you may not get namespaces"))
    assert unread["Pod Security"].level is Level.UNKNOWN and "namespace" not in unread
    gone = of_cluster(namespace_labels=errors.NotThereError("there is no namespace mine", hint="did you mean mint?"))
    assert (gone["namespace"].level, gone["namespace"].fix) == (Level.FAIL, "did you mean mint?")


def test_missing_rights_name_the_verbs_the_role_and_how_to_ask() -> None:
    denied = [right(verb, allowed=False) for verb in ("get", "create")]
    found = of_cluster(base=(right("list", "pods"), *denied))["rights"]
    assert (found.level, found.status) == (Level.FAIL, errors.Exit.AUTH)
    assert found.text == "you may not get and create pods/exec in namespace mine"
    assert "config/rbac" in found.fix
    assert found.details == tuple(each.can_i for each in denied)


def test_rights_that_nobody_answers_are_unknown_unless_another_is_denied() -> None:
    silent = right(allowed=facts.Unknown("no answer"))
    assert of_cluster(base=(right(), silent))["rights"].level is Level.UNKNOWN
    assert of_cluster(base=(right("list", "pods", allowed=False), silent))["rights"].level is Level.FAIL
