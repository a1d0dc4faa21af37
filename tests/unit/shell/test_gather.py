"""The way that variables come by: the spec, or the process where the spec is closed."""

from __future__ import annotations

import pytest

from devloop import errors
from devloop.kube import client, execute
from devloop.shell import find, gather, podenv, procenv, sources

FOUND = find.Found(execute.Where("dev", "web", "app"), {})
CLOSED = podenv.Made({"A": "spec"}, unknown=("PW: you may not get secrets",), forbidden=True)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    said: dict[str, object] = {"spec": CLOSED, "process": {"A": "process", "PW": "x"}}

    async def read_spec(*asked: object) -> podenv.Made:
        found = said["spec"]
        assert isinstance(found, podenv.Made)
        return found

    async def read_process(*asked: object) -> dict[str, str]:
        found = said["process"]
        if isinstance(found, errors.DevloopError):
            raise found
        assert isinstance(found, dict)
        return found

    monkeypatch.setattr(sources, "read", read_spec)
    monkeypatch.setattr(procenv, "read", read_process)
    return said


async def test_a_closed_spec_gives_way_to_the_process_and_says_so(api: client.Client, ways: dict[str, object]) -> None:
    said: list[str] = []
    made = await gather.gather(api, FOUND, None, said.append)
    assert made.env["A"] == "process" and "running process" in said[0] and "you may not get secrets" in said[0]
    said.clear()
    made = await gather.gather(api, FOUND, gather.Origin.SPEC, said.append)
    assert made.env == {"A": "spec"} and said == ["not known, and left out: PW: you may not get secrets"]


async def test_where_both_are_closed_what_is_known_is_taken(api: client.Client, ways: dict[str, object]) -> None:
    ways["process"] = errors.ExecError("no cat")
    said: list[str] = []
    assert (await gather.gather(api, FOUND, None, said.append)).env == {"A": "spec"}
    assert "no cat" in said[0] and "PW" in said[1]
    with pytest.raises(errors.ExecError, match="no cat"):
        await gather.gather(api, FOUND, gather.Origin.PROCESS, said.append)


async def test_an_open_spec_is_taken(api: client.Client, ways: dict[str, object]) -> None:
    ways["spec"] = podenv.Made({"A": "spec"}, unknown=("M: only the node",))
    said: list[str] = []
    assert (await gather.gather(api, FOUND, None, said.append)).env == {"A": "spec"} and "M" in said[0]


def test_of_a_process_all_is_secret_that_may_be() -> None:
    env = {"PW": "1", "URL": "2", "LIT": "3", "KEYED": "4"}
    spec = {
        "env": [
            {"name": "LIT", "value": "x"},
            {"name": "KEYED", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "URL", "value": "$(KEYED)"},
        ]
    }
    assert gather.of_process(env, spec).secret == {"KEYED", "URL"}
    assert gather.of_process(env, {**spec, "envFrom": [{"secretRef": {"name": "s"}}]}).secret == {"PW", "KEYED", "URL"}
