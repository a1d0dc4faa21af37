from __future__ import annotations

import pytest

from devloop.podspec import names


@pytest.mark.parametrize("name", ["devloop-tools", "devloop-sync-0", "devloop-sync-12", "devloop-agent", names.KEY])
def test_ours(name: str) -> None:
    assert names.is_ours(name)


@pytest.mark.parametrize("name", ["devloop", "devloop-sync-", "devloop-agent-2", "my-devloop-tools", "", None, 7])
def test_not_ours(name: object) -> None:
    assert not names.is_ours(name)


def test_a_syncs_volume_and_its_mount_count_alike() -> None:
    assert (names.sync_volume(3), names.sync_at(3)) == ("devloop-sync-3", "/devloop/sync-3")
