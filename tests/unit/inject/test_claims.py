"""The claim of `persist:`: made before it is needed, told when it gets no volume, deleted by its owner alone."""

from __future__ import annotations

import pytest

from devloop import errors
from devloop.inject import claims, lease
from devloop.podspec import request
from tests.unit.inject.conftest import Bench

CLAIMS = "/api/v1/namespaces/dev/persistentvolumeclaims"
MINE = f"{CLAIMS}/devloop-web"
SERVICE = request.Service("web", (request.Sync("/app"),), persist=("/app/node_modules",), persist_size="7Gi")
WANTED = claims.Wanted(SERVICE, "deployment/web", "ann@laptop", "session-1")
ANN = lease.Owner("ann@laptop")


async def test_it_is_made_as_large_as_the_service_says_and_of_the_clusters_own_class(bench: Bench) -> None:
    made = await claims.ensure(bench.api, "dev", WANTED)
    assert made == claims.Claim("devloop-web", made.uid if made else "", "session-1", "deployment/web", "ann@laptop")
    raw = bench.cluster.objects[MINE]
    assert raw["spec"]["resources"] == {"requests": {"storage": "7Gi"}}
    assert raw["metadata"]["labels"] == {"devloop.dev/session": "session-1", "devloop.dev/claim-of": "web"}
    assert "storageClassName" not in WANTED.manifest()["spec"]


async def test_one_that_is_there_is_used_as_it_is(bench: Bench) -> None:
    there = {"metadata": {"labels": {}}, "spec": {"storageClassName": "fast"}, "status": {"phase": "Bound"}}
    bench.cluster.put(MINE, there)
    assert await claims.ensure(bench.api, "dev", WANTED) is None
    assert bench.cluster.objects[MINE] is there and bench.cluster.log == []


async def test_a_volume_that_is_there_already_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_POLL_S", 0.001)
    bench.cluster.storage_class = ""
    looked = 0

    def bind() -> None:
        nonlocal looked
        looked += 1
        if MINE in bench.cluster.objects:
            bench.cluster.objects[MINE]["status"] = {"phase": "Bound"}
        bench.cluster.hooks[f"GET {MINE}"] = bind

    bench.cluster.hooks[f"GET {MINE}"] = bind
    assert await claims.ensure(bench.api, "dev", WANTED) is not None
    assert looked == 2


async def test_without_class_and_volume_the_clusters_words_are_told_and_nothing_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_POLL_S", 0.001)
    bench.cluster.storage_class = ""
    said = "no persistent volumes available for this claim and no storage class is set"
    bench.cluster.put("/api/v1/namespaces/dev/events/e1", {"type": "Normal", "message": said})
    with pytest.raises(errors.RefusedError, match=said) as caught:
        await claims.ensure(bench.api, "dev", WANTED, bind_s=0.01)
    assert caught.value.error_code == claims.CODE and "StorageClass as the default" in caught.value.hint
    assert MINE not in bench.cluster.objects


async def test_one_of_somebody_elses_that_gets_no_volume_is_not_deleted(bench: Bench) -> None:
    bench.cluster.put(MINE, {"metadata": {}, "spec": {}, "status": {"phase": "Lost"}})
    with pytest.raises(errors.RefusedError, match=r"gets no volume \(Lost\)"):
        await claims.ensure(bench.api, "dev", WANTED, bind_s=0.01)
    assert MINE in bench.cluster.objects


async def test_a_quota_is_told_in_its_own_words(bench: Bench) -> None:
    words = 'persistentvolumeclaims "devloop-web" is forbidden: exceeded quota: small, requested: requests.storage=7Gi'
    bench.cluster.refused[f"POST {CLAIMS}"] = (403, words, "Forbidden")
    with pytest.raises(errors.RefusedError, match="exceeded quota: small") as caught:
        await claims.ensure(bench.api, "dev", WANTED)
    assert caught.value.error_code == claims.CODE and "kubectl describe quota" in caught.value.hint
    assert "devloop-web of 7Gi for `persist:` cannot be made" in caught.value.message


async def test_a_missing_right_is_that(bench: Bench) -> None:
    words = 'User "ann" cannot create resource "persistentvolumeclaims" in API group "" in the namespace "dev"'
    bench.cluster.refused[f"POST {CLAIMS}"] = (403, words, "Forbidden")
    with pytest.raises(errors.ForbiddenError, match="you may not create persistentvolumeclaims"):
        await claims.ensure(bench.api, "dev", WANTED)


async def test_one_that_goes_is_no_claim_to_build_on(bench: Bench) -> None:
    bench.cluster.put(MINE, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Bound"}})
    with pytest.raises(errors.RefusedError, match="is being deleted, and pods still use it"):
        await claims.ensure(bench.api, "dev", WANTED)


async def test_somebody_who_makes_it_at_this_very_moment(bench: Bench) -> None:
    there = {"metadata": {}, "spec": {"storageClassName": "x"}}
    bench.cluster.hooks[f"POST {CLAIMS}"] = lambda: bench.cluster.put(MINE, there)
    assert await claims.ensure(bench.api, "dev", WANTED) is None
    assert bench.cluster.objects[MINE] is there


def claim(name: str, session: str = "s", workload: str = "deployment/web", owner: str = "ann@laptop") -> claims.Claim:
    return claims.Claim(name, f"uid-{name}", session, workload, owner)


def names(found: list[claims.Claim]) -> list[str]:
    return [each.name for each in found]


def test_ones_own_go_and_others_stay() -> None:
    there = [
        claim("mine"),
        claim("other-service", workload="deployment/api"),
        claim("bobs", owner="bob@desk"),
        claim("unmarked", workload="", owner=""),
        claim("ended", session="e", workload="", owner=""),
    ]
    going, stay = claims.to_delete(there, ["deployment/web"], ANN, {"e"}, everyone=False)
    assert (names(going), names(stay)) == (["mine", "ended"], ["other-service", "bobs", "unmarked"])
    everything, nothing = claims.to_delete(there, [], ANN, (), everyone=True)
    assert (everything, nothing) == (there, [])


async def test_this_very_one_is_deleted_and_waited_for(bench: Bench) -> None:
    made = await claims.ensure(bench.api, "dev", WANTED)
    assert made is not None
    another = claims.Claim(made.name, "another", made.session, made.workload, made.owner)
    await claims.delete(bench.api, "dev", another)
    assert MINE in bench.cluster.objects
    assert await claims.until_gone(bench.api, "dev", [made], 0.01) == ["devloop-web"]
    await claims.delete(bench.api, "dev", made)
    await claims.delete(bench.api, "dev", made)
    assert await claims.until_gone(bench.api, "dev", [made]) == [] == await claims.every(bench.api, "dev")
