"""The flow control on a simulated link: what is promised about edits beside a bulk transfer."""

from __future__ import annotations

import pytest

from devloop.protocol import messages, window
from tests.unit.protocol import simulation

GIGABYTE = 1 << 30


def test_edits_pass_a_bulk_stream_on_a_slow_link() -> None:
    """10 Mbit/s and 50 ms round trip: 95 % of the edits take at most 400 ms, and the bulk keeps the link busy."""
    link = simulation.Link(rate_bytes_per_s=1_250_000, one_way_s=0.025)
    world = simulation.World(link)
    world.add_bulk(stream=16, size=GIGABYTE)
    world.add_edits(first_s=2.0, every_s=0.1, count=250)
    world.run(until_s=30.0)
    latencies = sorted(world.edit_latencies_s)
    assert len(latencies) == 250
    assert latencies[int(len(latencies) * 0.95)] <= 0.4
    assert world.delivered_bytes(2.0, 27.0) >= 0.9 * 25.0 * link.rate_bytes_per_s


@pytest.mark.parametrize("one_way_s", [0.00005, 0.005])
def test_the_window_grows_to_use_a_fast_link(one_way_s: float) -> None:
    link = simulation.Link(rate_bytes_per_s=500e6, one_way_s=one_way_s)
    world = simulation.World(link, messages.Limits(stream_credit_bytes=1 << 26, total_credit_bytes=1 << 28))
    world.add_bulk(stream=16, size=GIGABYTE)
    world.run(until_s=1.0)
    assert world.delivered_bytes(0.5, 1.0) >= 0.9 * 0.5 * link.rate_bytes_per_s
    assert world.out.link.window_bytes == window.MAX_WINDOW_BYTES


def test_the_window_falls_when_the_link_becomes_slow() -> None:
    link = simulation.Link(rate_bytes_per_s=100e6, one_way_s=0.005)
    world = simulation.World(link)
    world.add_bulk(stream=16, size=GIGABYTE)
    world.run(until_s=1.0)
    wide = world.out.link.window_bytes
    link.rate_bytes_per_s = 2e6
    world.run(until_s=10.0)
    assert world.out.link.window_bytes == window.MIN_WINDOW_BYTES < wide


def test_a_stalled_stream_stalls_no_other() -> None:
    link = simulation.Link(rate_bytes_per_s=10e6, one_way_s=0.005)
    world = simulation.World(link)
    for stream in (16, 17, 18):
        world.add_bulk(stream, GIGABYTE)
    world.stalled = {16, 17}
    world.add_edits(first_s=1.0, every_s=0.2, count=40)
    world.run(until_s=10.0)
    # the stalled streams stop at their own credit, and the third gets everything else
    assert world.delivered_bytes(3.0, 10.0) >= 0.9 * 7.0 * link.rate_bytes_per_s
    assert len(world.edit_latencies_s) == 40
    assert max(world.edit_latencies_s) <= 0.3


def test_many_bulk_streams_share_the_link_fairly() -> None:
    world = simulation.World(simulation.Link(rate_bytes_per_s=10e6, one_way_s=0.005))
    for stream in range(16, 20):
        world.add_bulk(stream, GIGABYTE)
    world.run(until_s=4.0)
    sent = [each.sent_bytes for each in world.out.statistics()]
    assert max(sent) <= 1.2 * min(sent)
