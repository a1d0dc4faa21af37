"""The fence between two laptops, and what is left of it after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import claims
from devloop.protocol import messages

HELD = claims.Claim(5, "s", "ann@here")


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        (claims.Claim(6, "t", "bob@there"), True),
        (claims.Claim(5, "s", "ann@here"), True),
        (claims.Claim(5, "s", "ann@elsewhere"), True),
        (claims.Claim(5, "t", "bob@there"), False),
        (claims.Claim(4, "s", "ann@here"), False),
        (claims.Claim(0, "", ""), False),
    ],
)
def test_a_higher_epoch_or_the_same_session_is_taken(asked: claims.Claim, taken: bool) -> None:
    refusal = claims.decide(HELD, asked)
    assert (refusal is None) is taken
    if refusal is not None:
        assert refusal.reason is messages.Refusal.EPOCH
        assert "ann@here" in refusal.message and refusal.owner == "ann@here" and refusal.hint


def test_an_owner_without_a_name_is_someone_else() -> None:
    refusal = claims.decide(claims.Claim(2, "s"), claims.Claim(1, "t"))
    assert refusal is not None and "someone else" in refusal.message


def test_a_claim_outlives_the_agent(tmp_path: Path) -> None:
    path = str(tmp_path / "claim")
    assert claims.load(path) == claims.Claim()
    claims.save(path, HELD)
    assert claims.load(path) == HELD
    assert [each.name for each in tmp_path.iterdir()] == ["claim"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"epoch": "x"}', b'{"owner": "\xff"}', b"\x00" * 100])
def test_a_damaged_claim_counts_as_none(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "claim"
    path.write_bytes(raw)
    assert claims.load(str(path)) == claims.Claim()


def test_a_disk_that_refuses_does_not_end_the_session(tmp_path: Path) -> None:
    claims.save(str(tmp_path / "missing" / "claim"), HELD)
    assert claims.load(str(tmp_path / "missing" / "claim")) == claims.Claim()
