"""Whether an agent may be ours, and what the laptop says of itself."""

from __future__ import annotations

from typing import Any

import devloop
from devloop import errors
from devloop.daemon import claim
from devloop.protocol import messages, version

APP = messages.AppSpec(messages.ReloadMode.NONE)


def mine(**changes: Any) -> claim.Claimant:
    said: dict[str, Any] = {"session": "mine", "owner": "me@here", "takeover": False, **changes}
    return claim.Claimant(syncs=(messages.SyncSpec("/app"),), app=APP, **said)


def hello(*, trouble: str = "", to: str = "/app", **changes: Any) -> messages.AgentHello:
    root = messages.RootState(to, "t", bytes(32), 0, fresh=True, trouble=trouble)
    said: dict[str, Any] = {"held": True, "session": "hers", "owner": "ann@there", "epoch": 3, **changes}
    return messages.AgentHello(
        minor=version.MINOR,
        features=version.FEATURES,
        version=devloop.__version__,
        limits=messages.Limits(),
        boot_id="boot",
        roots=(root,),
        uid=1000,
        gid=1000,
        **said,
    )


def test_another_owners_session_is_named_and_not_taken() -> None:
    found = claim.obstacle("pod", hello(), mine())
    assert isinstance(found, errors.OwnedError)
    assert (found.message, found.owner) == ("pod is being synced by ann@there", "ann@there")
    assert "--takeover" in found.hint


def test_it_is_taken_where_that_is_meant_or_nobody_holds_it() -> None:
    assert claim.obstacle("pod", hello(), mine(takeover=True)) is None
    assert claim.obstacle("pod", hello(), mine(owner="ann@there")) is None
    assert claim.obstacle("pod", hello(), mine(session="hers")) is None
    assert claim.obstacle("pod", hello(held=False), mine()) is None


def test_a_folder_that_cannot_be_written_is_named() -> None:
    found = claim.obstacle("pod", hello(held=False, trouble="read-only"), mine())
    assert found is not None and found.message == "/app cannot be written: read-only"


def test_folders_of_another_project_are_refused() -> None:
    found = claim.obstacle("pod", hello(held=False, to="/other"), mine())
    assert isinstance(found, errors.AgentError)
    assert "/other" in found.message and "/app" in found.message and found.hint


def test_a_new_session_is_a_new_epoch_and_the_same_one_is_not() -> None:
    said = claim.answer(hello(), mine())
    assert (said.epoch, said.session, said.owner, said.app) == (4, "mine", "me@here", APP)
    assert claim.answer(hello(), mine(session="hers")).epoch == 3
