"""A short, fixed stretch of the fuzz target; longer ones are run by hand."""

import math
import typing

import pytest

from devloop.protocol import codec as protocol
from devloop.protocol import messages
from tests.fuzz import codec


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_that_a_peer_sends_breaks_a_reader(seed: int) -> None:
    assert codec.run(seed, rounds=1500, seconds=math.inf) == 1500


def test_good_messages_pass_all_targets() -> None:
    kinds = {type(protocol.FrameReader().message(bytes(4) + raw)) for raw in codec.seeds()}
    assert kinds == set(typing.get_args(messages.Message))
    for raw in codec.seeds():
        codec.fuzz_one(raw)
