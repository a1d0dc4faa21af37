"""A process's variables: what /proc has, read by a cat that is there."""

from __future__ import annotations

import pytest

from devloop import errors
from devloop.kube import client, execute
from devloop.podspec import names
from devloop.shell import find, procenv
from tests.unit.kube import fake_api
from tests.unit.shell import fake_pod

WHERE = execute.Where("dev", "web", "app")


def test_entries_are_split_at_zero_bytes_and_the_first_counts() -> None:
    raw = b"A=1\0B=x=y\nz\0A=2\0junk\0=odd\0E=\0\xff=\xfe\0"
    assert procenv.parse(raw) == {"A": "1", "B": "x=y\nz", "E": "", "\udcff": "\udcfe"}


async def test_process_one_is_read(server: fake_api.FakeApi, api: client.Client) -> None:
    pod = fake_pod.Pod(server)
    with pytest.MonkeyPatch.context() as patch:
        # This machine's own process 1 stands for the container's, as far as it may be read.
        patch.setattr(procenv, "parse", lambda raw: {"SIZE": str(len(raw))})
        try:
            assert set(await procenv.read(api, find.Found(WHERE, {}))) == {"SIZE"}
        except errors.ExecError as error:
            assert "cannot be read" in error.message
    assert pod.commands == [["cat", "/proc/1/environ"]]


@pytest.mark.parametrize(("state", "pid"), [(b"running 77 1 - 0\n", 77), (b"waiting 0 0 - 0\n", 1), (b"", 1)])
async def test_under_the_launcher_it_is_the_app(
    server: fake_api.FakeApi, api: client.Client, monkeypatch: pytest.MonkeyPatch, state: bytes, pid: int
) -> None:
    asked: list[tuple[str, ...]] = []

    async def run(api: client.Client, where: execute.Where, argv: tuple[str, ...], **more: float) -> execute.Result:
        asked.append(argv)
        return execute.Result(0, state if argv[-1].endswith("state") else b"A=1\0", b"")

    monkeypatch.setattr(execute, "run", run)
    assert await procenv.read(api, find.Found(WHERE, {}, tools=True)) == {"A": "1"}
    assert asked == [
        (names.BUSYBOX, "cat", "/devloop/run/state"),
        (names.BUSYBOX, "cat", f"/proc/{pid}/environ"),
    ]


@pytest.mark.parametrize(
    ("result", "words"),
    [(execute.Result(1, b"", b"cat: denied\n"), "denied"), (execute.Result(0, b"title", b""), "shows no variables")],
)
async def test_what_cannot_be_read_is_said(
    api: client.Client, monkeypatch: pytest.MonkeyPatch, result: execute.Result, words: str
) -> None:
    async def run(*asked: object, **more: float) -> execute.Result:
        return result

    monkeypatch.setattr(execute, "run", run)
    with pytest.raises(errors.ExecError, match=words) as caught:
        await procenv.read(api, find.Found(WHERE, {}))
    assert "--from spec" in caught.value.hint
