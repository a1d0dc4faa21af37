"""Who an app runs as, by whoever tells first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from devloop import errors
from devloop.inject import running
from devloop.kube import client, execute

API = cast(client.Client, None)


def pod(own: dict[str, Any] | None = None, whole: dict[str, Any] | None = None, linux: Any = None) -> dict[str, Any]:
    return {
        "metadata": {"name": "web-1"},
        "spec": {"securityContext": whole, "containers": [{"name": "app", "securityContext": own}, {"name": "other"}]},
        "status": {"containerStatuses": [{"name": "app", "user": {"linux": linux}}]},
    }


class Exec:
    """Stands in for exec."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *said: bytes | errors.DevloopError) -> None:
        self.said = list(said)
        self.asked: list[tuple[str, ...]] = []
        monkeypatch.setattr(execute, "run", self.run)

    async def run(self, api: object, where: execute.Where, argv: Sequence[str], **how: Any) -> execute.Result:
        self.asked.append((where.container, *argv))
        found = self.said.pop(0)
        if isinstance(found, errors.DevloopError):
            raise found
        return execute.Result(0 if found else 1, found, b"")


async def user(made: dict[str, Any]) -> running.User | None:
    return await running.user_of(API, "dev", made, "app")


async def test_the_spec_goes_first() -> None:
    assert await user(pod({"runAsUser": 5, "runAsGroup": 6})) == running.User(5, 6, "its pod")
    assert await user(pod({"runAsUser": 5}, {"runAsUser": 1, "runAsGroup": 2})) == running.User(5, 2, "its pod")
    assert await user(pod(None, {"runAsUser": 0})) == running.User(0, None, "its pod")


async def test_then_the_containers_status() -> None:
    found = await user(pod(linux={"uid": 7, "gid": 8, "supplementalGroups": [9]}))
    assert found == running.User(7, 8, "its container's status")


async def test_then_id_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Exec(monkeypatch, b"7\n", b"8\n")
    assert await user(pod()) == running.User(7, 8, "`id` in its container")
    assert said.asked == [("app", "id", "-u"), ("app", "id", "-g")]


@pytest.mark.parametrize(
    "said", [[errors.ExecError("no id")], [b"", b""], [b"uid=7\n", b"8\n"], [b"99999999999\n", b"8\n"]]
)
async def test_else_nobody(monkeypatch: pytest.MonkeyPatch, said: list[Any]) -> None:
    Exec(monkeypatch, *said)
    assert await user(pod()) is None


async def test_a_missing_right_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    Exec(monkeypatch, errors.ForbiddenError("you may not"))
    with pytest.raises(errors.ForbiddenError):
        await user(pod())


def test_what_is_no_user_is_not_taken_for_one() -> None:
    assert running.of_spec(pod({"runAsUser": True}), "app") is None
    assert running.of_spec(pod({"runAsUser": "7"}), "app") is None
    assert running.of_spec({}, "app") is None
    assert running.of_status({}, "app") is None
