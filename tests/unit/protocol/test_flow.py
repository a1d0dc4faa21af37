"""Credits: what the sender's account allows the receiver's accepts, and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop import errors
from devloop.protocol import flow, messages

MIB = 1 << 20
LIMITS = messages.Limits()


def part(stream: int, size: int) -> messages.Part:
    return messages.Part(stream, size, messages.Codec.RAW, bytes(size))


class Both:
    """A sender's and a receiver's account with nothing between them."""

    def __init__(self, *streams: int, limits: messages.Limits = LIMITS) -> None:
        self.out = flow.Outgoing(limits)
        self.into = flow.Incoming(limits)
        for stream in streams:
            self.out.open(stream)
            self.into.open(stream)

    def send(self, stream: int, size: int) -> bool:
        message = part(stream, size)
        cost = messages.cost(message)
        if not self.out.can_send(stream, cost, 0):
            return False
        self.out.link.handed_over(cost, self.out.spend(stream, cost), 0.0)
        self.into.received(message)
        return True

    def due(self) -> bool:
        return self.into.due

    def credit(self) -> messages.Credit:
        credit = self.into.take()
        self.out.credited(credit, 1.0)
        return credit

    def fill(self, stream: int, size: int = 200_000) -> int:
        sent = 0
        while self.send(stream, size):
            sent += size
            if self.into.due:
                self.credit()
        return sent


def test_a_stream_stops_at_its_credit_and_goes_on_when_it_is_given_back() -> None:
    both = Both(16)
    sent = both.fill(16)
    assert 3.5 * MIB < sent <= 4 * MIB
    both.into.consumed(16, 200_064)
    assert not both.due()
    both.into.consumed(16, 5 * 200_064)
    assert both.due()
    assert both.credit().grants == ((16, 6 * 200_064),)
    assert both.send(16, 200_000)


def test_streams_that_nobody_takes_leave_room_for_others() -> None:
    both = Both(*range(16, 20))
    for stream in range(16, 19):
        assert both.fill(stream) > 3 * MIB
    assert both.fill(19, 60_000) > MIB
    assert both.into.held_bytes <= LIMITS.total_credit_bytes


def test_the_receiver_refuses_more_than_a_streams_credit() -> None:
    into = flow.Incoming(LIMITS)
    into.open(16)
    for _ in range(20):
        into.received(part(16, 200_000))
    with pytest.raises(errors.RemoteProtocolError, match="no credit"):
        into.received(part(16, 200_000))


def test_the_receiver_refuses_more_than_all_credit() -> None:
    into = flow.Incoming(LIMITS)
    for stream in range(16, 22):
        into.open(stream)
    with pytest.raises(errors.RemoteProtocolError, match="no credit"):
        for _ in range(19):
            for stream in range(16, 22):
                into.received(part(stream, 200_000))
    assert into.held_bytes <= LIMITS.total_credit_bytes


def test_the_first_64_kib_of_a_stream_are_urgent() -> None:
    both = Both(16)
    assert both.out.is_urgent(16, flow.URGENT_BYTES)
    assert both.send(16, 60_000)
    assert both.out.is_urgent(16, 5_000)
    assert not both.out.is_urgent(16, 6_000)


def test_bulk_waits_for_the_shell_and_edits_do_not() -> None:
    both = Both(16, 17)
    assert not both.out.can_send(16, 70_000, flow.MAX_QUEUED_BYTES)
    assert both.out.can_send(16, 70_000, 0)
    assert both.out.can_send(17, 200, flow.MAX_QUEUED_BYTES)


def test_streams_are_bounded_on_both_sides() -> None:
    both = Both(*range(16, 16 + LIMITS.max_streams))
    assert not both.out.can_open()
    with pytest.raises(errors.LocalProtocolError, match="more than 256"):
        both.out.open(1000)
    with pytest.raises(errors.RemoteProtocolError, match="more than 256"):
        both.into.open(1000)


def test_a_stream_cannot_be_opened_twice() -> None:
    both = Both(16)
    with pytest.raises(errors.LocalProtocolError, match="open already"):
        both.out.open(16)
    with pytest.raises(errors.RemoteProtocolError, match="open already"):
        both.into.open(16)


def test_an_ended_stream_counts_until_all_of_it_was_given_back() -> None:
    both = Both(16)
    both.send(16, 1000)
    both.out.end(16)
    both.into.end(16)
    assert (16 in both.out, 16 in both.into) == (True, True)
    with pytest.raises(errors.LocalProtocolError, match="not open"):
        both.out.can_send(16, 100, 0)
    with pytest.raises(errors.RemoteProtocolError, match="not open"):
        both.into.received(part(16, 1))
    with pytest.raises(errors.RemoteProtocolError, match="not open"):
        both.into.end(16)
    both.into.consumed(16, 1064)
    both.credit()
    assert (16 in both.out, 16 in both.into) == (False, False)
    assert not len(both.into)


def test_an_empty_stream_ends_at_once() -> None:
    both = Both(16)
    both.out.end(16)
    both.into.end(16)
    assert len(both.into) == 0
    assert 16 not in both.out


def test_ended_streams_are_given_back_together() -> None:
    both = Both(*range(16, 48))
    for count, stream in enumerate(range(16, 32), start=1):
        both.send(stream, 100)
        both.into.consumed(stream, 164)
        both.out.end(stream)
        both.into.end(stream)
        assert both.due() is (count == 16)
    assert len(both.credit().grants) == 16
    assert len(both.into) == 16


def test_settling_a_stream_gives_everything_back_without_a_word() -> None:
    both = Both(16, 17)
    both.send(16, 60_000)
    both.send(17, 100)
    both.into.consumed(16, 10_000)
    both.into.settled(16)
    both.out.settled(16)
    both.into.consumed(16, 50_064)
    both.into.consumed(17, 164)
    assert both.credit().grants == ((17, 164),)
    assert both.into.held_bytes == 0


def test_a_report_is_due_each_64_kib() -> None:
    both = Both(16)
    both.send(16, 60_000)
    assert not both.due()
    both.send(16, 6_000)
    assert both.due()
    assert both.credit() == messages.Credit(66_128)
    assert not both.due()


def test_a_quarter_of_all_credit_does_not_wait() -> None:
    both = Both(*range(16, 24))
    sent = [stream for stream in range(16, 24) for _ in range(3)]
    for stream in sent:
        assert both.send(stream, 200_000)
        both.credit()
    taken = 0
    while not both.due():
        both.into.consumed(sent[taken], 200_064)
        taken += 1
    assert taken == LIMITS.total_credit_bytes // 4 // 200_064 + 1


@pytest.mark.parametrize("grant", [(16, 165), (17, 1)])
def test_credit_for_what_was_not_sent_is_the_peers_error(grant: tuple[int, int]) -> None:
    both = Both(16)
    both.send(16, 100)
    with pytest.raises(errors.RemoteProtocolError, match="less under way"):
        both.out.credited(messages.Credit(0, (grant,)), 1.0)


def test_nothing_is_dealt_with_twice() -> None:
    both = Both(16)
    both.send(16, 100)
    both.into.consumed(16, 164)
    with pytest.raises(errors.LocalProtocolError, match="twice"):
        both.into.consumed(16, 1)


def test_unknown_streams_are_the_callers_error() -> None:
    both = Both()
    for call in (both.out.end, lambda stream: both.out.can_send(stream, 1, 0)):
        with pytest.raises(errors.LocalProtocolError, match="not open"):
            call(16)
    with pytest.raises(errors.RemoteProtocolError, match="not open"):
        both.into.received(part(16, 1))
    with pytest.raises(errors.RemoteProtocolError, match="not open"):
        both.into.end(16)


def test_statistics_tell_each_stream() -> None:
    both = Both(16, 17)
    both.send(16, 100)
    both.out.end(16)
    assert both.out.statistics() == (
        flow.StreamStatistics(16, 164, 164, True),
        flow.StreamStatistics(17, 0, 0, False),
    )


@given(st.lists(st.tuples(st.sampled_from(["send", "take", "give"]), st.integers(16, 19), st.integers(1, 240 * 1024))))
def test_whatever_the_sender_may_send_the_receiver_takes_and_none_starves(steps: list[tuple[str, int, int]]) -> None:
    """`credited` comes late here: credits that were made wait in the line until `give`."""
    both = Both(*range(16, 20))
    unconsumed: dict[int, list[int]] = {stream: [] for stream in range(16, 20)}
    line: list[messages.Credit] = []
    for what, stream, size in steps:
        if what == "send":
            for _ in range(8):
                if both.send(stream, size):
                    unconsumed[stream].append(size + messages.FRAME_COST_BYTES)
        elif what == "take" and unconsumed[stream]:
            both.into.consumed(stream, unconsumed[stream].pop(0))
        elif what == "give" and line:
            both.out.credited(line.pop(0), 1.0)
        if both.due():
            line.append(both.into.take())
    # once everything was dealt with, what is owed is enough for a frame of the largest size on every stream
    for stream, sizes in unconsumed.items():
        for size in sizes:
            both.into.consumed(stream, size)
    if both.due():
        line.append(both.into.take())
    for credit in line:
        both.out.credited(credit, 1.0)
    assert both.send(16, messages.MAX_DATA_BYTES)
