"""The messages that open a session, on the wire."""

from typing import Any

import msgspec
import pytest

from devloop.protocol import messages
from tests.unit.protocol import samples

LIMITS = messages.Limits(3 << 20, 64, 5, 9 << 20, messages.StreamLimits(16, 1 << 16, 1 << 20))


def test_the_proof_of_who_one_is_on_the_wire() -> None:
    assert samples.wire(messages.Nonce("devloop", 1, b"n" * 32, "0.1.0")) == [1, "devloop", 1, b"n" * 32, "0.1.0"]
    assert samples.wire(messages.Proof(b"m" * 32)) == [2, b"m" * 32]


def test_the_agents_hello_on_the_wire() -> None:
    root = messages.RootState("/app", "tree", b"d", 7, False, "read-only", False, True)
    hello = messages.AgentHello(
        2, frozenset({"copy"}), "0.1.0", "boot", 3, "session", "ann", True, LIMITS, (root,), 1000, 1001
    )
    limits, state = (
        [3 << 20, 64, 5, 9 << 20, [16, 1 << 16, 1 << 20]],
        ["/app", "tree", b"d", 7, False, "read-only", False, True],
    )
    assert samples.wire(hello) == [
        4, 2, ["copy"], "0.1.0", "boot", 3, "session", "ann", True, limits, [state], 1000, 1001,
    ]  # fmt: skip


def test_the_laptops_claim_and_the_welcome_on_the_wire() -> None:
    app = messages.AppSpec(messages.ReloadMode.SIGNAL, ("run",), "/app", {"A": "b"}, "HUP", ("reload",), 2.5)
    sync = messages.SyncSpec("/app", ("*.lock",))
    hello = messages.LaptopHello(2, frozenset({"copy"}), "0.1.0", 3, "session", "ann", LIMITS, (sync,), app)
    limits, spec = (
        [3 << 20, 64, 5, 9 << 20, [16, 1 << 16, 1 << 20]],
        ["signal", ["run"], "/app", {"A": "b"}, "HUP", ["reload"], 2.5],
    )
    assert samples.wire(hello) == [
        5, 2, ["copy"], "0.1.0", 3, "session", "ann", limits, [["/app", ["*.lock"]]], spec,
    ]  # fmt: skip
    assert samples.wire(messages.Welcome(3)) == [6, 3]


@pytest.mark.parametrize(
    "limits",
    [{"stream_credit_bytes": 1 << 20}, {"max_streams": 3}, {"total_credit_bytes": 1 << 20}, {"max_delta_bytes": -1}],
)
def test_limits_too_small_to_work_with_are_refused(limits: dict[str, Any]) -> None:
    raw = msgspec.msgpack.encode(messages.Limits(**limits))
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(raw, type=messages.Limits)


@pytest.mark.parametrize("limits", [{"max_open": 15}, {"own_bytes": 1 << 15}, {"shared_bytes": 1 << 19}])
def test_so_are_those_of_byte_streams(limits: dict[str, int]) -> None:
    raw = msgspec.msgpack.encode(messages.StreamLimits(**limits))
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(raw, type=messages.StreamLimits)


def test_an_older_peer_says_nothing_of_byte_streams() -> None:
    raw = msgspec.msgpack.encode([4 << 20, 256, 8 << 20, 16 << 20])
    assert msgspec.msgpack.decode(raw, type=messages.Limits) == messages.Limits()


def test_limits_are_enough_as_they_are() -> None:
    raw = msgspec.msgpack.encode(messages.Limits())
    assert msgspec.msgpack.decode(raw, type=messages.Limits) == messages.Limits()
