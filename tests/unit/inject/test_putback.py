"""The way back from a patch, whatever happened to the workload meanwhile."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from devloop import errors
from devloop.inject import putback
from tests.unit.inject import fake_cluster
from tests.unit.inject.conftest import Bench
from tests.unit.inject.test_patch import by_others, install


async def test_what_others_changed_since_is_not_overwritten(bench: Bench) -> None:
    before = copy.deepcopy(bench.cluster.template)
    done = await install(bench)
    assert done.lease is not None
    by_others(bench)()
    assert await putback.restore(bench.api, "dev", done.lease) is putback.End.KEPT
    before["metadata"]["labels"]["by"] = "others"
    assert bench.cluster.template == before


async def test_a_lost_annotation_is_made_good_by_the_lease(bench: Bench) -> None:
    before = copy.deepcopy(bench.cluster.template)
    done = await install(bench)
    assert done.lease is not None
    del bench.cluster.template["metadata"]["annotations"]
    await putback.restore(bench.api, "dev", done.lease)
    assert bench.cluster.template == before


async def test_a_template_that_somebody_put_back_is_left_as_it_is(bench: Bench) -> None:
    done = await install(bench)
    assert done.lease is not None
    made = fake_cluster.deployment(image="app:2")
    bench.cluster.put(fake_cluster.WORKLOAD, made)
    assert await putback.restore(bench.api, "dev", done.lease) is putback.End.UNTOUCHED
    assert bench.cluster.template["spec"]["containers"][0]["image"] == "app:2"
    assert fake_cluster.LEASE not in bench.cluster.objects


async def test_a_workload_that_is_gone_has_nothing_to_put_back(bench: Bench) -> None:
    done = await install(bench)
    assert done.lease is not None
    del bench.cluster.objects[fake_cluster.WORKLOAD]
    assert await putback.restore(bench.api, "dev", done.lease) is putback.End.GONE
    assert fake_cluster.LEASE not in bench.cluster.objects


async def test_something_that_changes_the_template_all_the_time_is_told(bench: Bench) -> None:
    done = await install(bench)
    assert done.lease is not None
    change = by_others(bench)
    counter = iter(range(100))

    async def fight(request: Any) -> Any:
        change()
        bench.cluster.template["metadata"]["labels"]["by"] = str(next(counter))
        return bench.cluster._patch(request, json.loads(await request.read()))

    bench.cluster.on("PATCH", fake_cluster.WORKLOAD, fight)
    with pytest.raises(errors.ConflictError, match="again and again"):
        await putback.restore(bench.api, "dev", done.lease)
    assert fake_cluster.LEASE in bench.cluster.objects
