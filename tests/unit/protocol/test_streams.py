"""The account of byte streams: what may be said when, what is gone, and whose credit it is."""

from __future__ import annotations

import pytest

from devloop import errors
from devloop.protocol import flow, messages, state, streams, window

LIMITS = messages.StreamLimits()
FIRST = messages.FIRST_STREAM
KIB = 1 << 10
FRAME = messages.FRAME_COST_BYTES


class Ends:
    """Both ends' accounts, with nothing between them: what one says the other hears at once."""

    def __init__(self, limits: messages.StreamLimits = LIMITS) -> None:
        self.link = window.LinkWindow()
        self.back = window.LinkWindow()
        self.laptop = streams.Streams(state.Role.LAPTOP, limits, limits, self.link)
        self.agent = streams.Streams(state.Role.AGENT, limits, limits, self.back)
        self.link.tell_reports(self.laptop.reported)
        self.total = 0

    def dial(self) -> int:
        number = self.laptop.next_number
        self.laptop.sending(messages.Dial(number, "db", 1))
        assert self.agent.received(messages.Dial(number, "db", 1))
        return number

    def open(self) -> int:
        number = self.dial()
        self.agent.sending(messages.Dialled(number))
        assert self.laptop.received(messages.Dialled(number))
        return number

    def send(self, number: int, size: int) -> bool:
        """Send from the laptop, unless there is no credit."""
        if size + FRAME > self.laptop.room(number, size) + FRAME:
            return False
        urgent = self.laptop.spend(number, size + FRAME)
        self.link.handed_over(size + FRAME, urgent, 0.0, number)
        self.agent.received(messages.Data(number, bytes(size)))
        self.total += size + FRAME
        return True

    def give_back(self) -> list[tuple[int, int]]:
        """Report and give back what the agent has dealt with."""
        grants = self.agent.take_grants()
        self.link.reported(self.total, 1.0)
        for number, size in grants:
            self.laptop.credited(number, size)
        return grants

    def end_all(self, number: int) -> None:
        """End both ways in order."""
        for one, other in ((self.laptop, self.agent), (self.agent, self.laptop)):
            one.sending(messages.Eof(number))
            one.eof_left(number)
            other.received(messages.Eof(number))


def test_numbers_of_the_two_sides_never_meet() -> None:
    ends = Ends()
    assert ends.laptop.next_number == FIRST
    assert ends.agent.next_number == FIRST + 1
    assert [ends.open(), ends.open()] == [FIRST, FIRST + 2]
    assert ends.agent.next_number == FIRST + 1


def test_a_stream_that_ended_both_ways_is_gone_on_both_sides() -> None:
    ends = Ends()
    number = ends.open()
    ends.end_all(number)
    assert number not in ends.laptop
    assert number not in ends.agent
    assert ends.laptop.next_number == number + 2


def test_it_stays_until_its_credit_came_back() -> None:
    ends = Ends()
    number = ends.open()
    ends.send(number, 100)
    ends.end_all(number)
    assert number in ends.laptop
    ends.agent.consumed(number, 100 + FRAME)
    assert ends.give_back() == [(number, 100 + FRAME)]
    assert number not in ends.laptop
    assert number not in ends.agent


def test_it_stays_until_its_eof_has_left() -> None:
    """Else a `Dial` could overtake it, and the peer count one stream too many."""
    ends = Ends()
    number = ends.open()
    ends.agent.sending(messages.Eof(number))
    ends.laptop.received(messages.Eof(number))
    ends.laptop.sending(messages.Eof(number))
    assert number in ends.laptop
    ends.laptop.eof_left(number)
    assert number not in ends.laptop


def test_credit_of_streams_that_ended_is_given_back_for_sixteen_together() -> None:
    ends = Ends()
    for count in range(1, 17):
        number = ends.open()
        ends.send(number, 10)
        ends.end_all(number)
        ends.agent.consumed(number, 10 + FRAME)
        assert ends.agent.due is (count == 16)
    ends.give_back()
    assert len(ends.laptop) == len(ends.agent) == 0


def test_credit_of_streams_that_ended_comes_at_once_where_few_more_may_be_opened() -> None:
    ends = Ends(messages.StreamLimits(max_open=16))
    number = ends.open()
    ends.send(number, 10)
    ends.end_all(number)
    ends.agent.consumed(number, 10 + FRAME)
    assert ends.agent.due


@pytest.mark.parametrize(
    "message",
    [messages.Data(FIRST, b"x"), messages.Eof(FIRST), messages.Dialled(FIRST), messages.Reset(FIRST)],
    ids=lambda message: type(message).__name__,
)
def test_what_is_about_a_stream_that_never_was_is_an_error(message: messages.Message) -> None:
    ends = Ends()
    for end in (ends.laptop, ends.agent):
        with pytest.raises(errors.RemoteProtocolError, match="never opened"):
            end.received(message)
    with pytest.raises(errors.RemoteProtocolError, match="never opened"):
        ends.agent.credited(FIRST, 1)


@pytest.mark.parametrize(
    "message",
    [messages.Data(FIRST, b"x"), messages.Eof(FIRST), messages.Dialled(FIRST), messages.Reset(FIRST)],
    ids=lambda message: type(message).__name__,
)
def test_what_crosses_a_reset_is_dropped(message: messages.Message) -> None:
    ends = Ends()
    number = ends.dial()
    assert ends.laptop.sending(messages.Reset(number))
    assert not ends.laptop.received(message)
    assert not ends.laptop.sending(messages.Reset(number))
    assert not ends.laptop.credited(number, 5)
    assert len(ends.laptop) == 0


def test_a_reset_gives_everything_back() -> None:
    ends = Ends()
    number = ends.open()
    while ends.send(number, 60_000):
        pass
    assert ends.laptop.in_flight_bytes > 4 << 20
    ends.laptop.sending(messages.Reset(number))
    ends.agent.received(messages.Reset(number))
    assert ends.laptop.in_flight_bytes == 0
    assert ends.agent.held_bytes == 0
    ends.agent.consumed(number, 60_000 + FRAME)
    assert ends.agent.take_grants() == []


@pytest.mark.parametrize("message", [messages.Data(FIRST, b"x"), messages.Eof(FIRST)])
def test_nothing_may_come_before_the_answer_and_after_the_end(message: messages.Data | messages.Eof) -> None:
    ends = Ends()
    ends.dial()
    with pytest.raises(errors.RemoteProtocolError, match="not open"):
        ends.agent.received(message)
    ends = Ends()
    number = ends.open()
    ends.laptop.sending(messages.Eof(number))
    ends.agent.received(messages.Eof(number))
    with pytest.raises(errors.RemoteProtocolError, match="not open"):
        ends.agent.received(message)


def test_the_same_of_this_side() -> None:
    ends = Ends()
    number = ends.dial()
    with pytest.raises(errors.LocalProtocolError):
        ends.laptop.sending(messages.Eof(number))
    with pytest.raises(errors.LocalProtocolError):
        ends.laptop.room(number, 1)
    with pytest.raises(errors.LocalProtocolError, match="waits for no answer"):
        ends.laptop.sending(messages.Dialled(number))
    ends.agent.sending(messages.Dialled(number))
    with pytest.raises(errors.LocalProtocolError, match="waits for no answer"):
        ends.agent.sending(messages.Dialled(number))
    with pytest.raises(errors.LocalProtocolError, match="instead of"):
        ends.laptop.sending(messages.Dial(number, "db", 1))


def test_an_answer_comes_once_and_only_to_who_asked() -> None:
    ends = Ends()
    number = ends.open()
    for end in (ends.laptop, ends.agent):
        with pytest.raises(errors.RemoteProtocolError, match="waits for no answer"):
            end.received(messages.Dialled(number))


@pytest.mark.parametrize("number", [FIRST, FIRST + 1, FIRST + 3])
def test_a_number_is_used_once_and_is_of_the_side_that_opens(number: int) -> None:
    ends = Ends()
    ends.end_all(ends.open())
    with pytest.raises(errors.RemoteProtocolError, match="is opened after"):
        ends.agent.received(messages.Dial(number, "db", 1))


def test_a_refused_stream_is_gone() -> None:
    ends = Ends()
    number = ends.dial()
    ends.agent.sending(messages.Dialled(number, "port"))
    assert ends.laptop.received(messages.Dialled(number, "port"))
    assert len(ends.laptop) == len(ends.agent) == 0


def test_there_are_not_too_many() -> None:
    ends = Ends(messages.StreamLimits(max_open=16))
    for _ in range(16):
        ends.open()
    assert not ends.laptop.can_open()
    with pytest.raises(errors.LocalProtocolError, match="more than 16"):
        ends.dial()
    with pytest.raises(errors.RemoteProtocolError, match="more than 16"):
        ends.agent.received(messages.Dial(ends.laptop.next_number, "db", 1))


def test_what_both_sides_open_at_the_same_time_is_not_too_many() -> None:
    ends = Ends(messages.StreamLimits(max_open=16))
    for _ in range(16):
        ends.open()
    accepted = messages.Accepted(ends.agent.next_number, 0, "peer")
    ends.agent.sending(accepted)
    assert ends.laptop.received(accepted)


def test_more_than_the_credit_is_an_error() -> None:
    ends = Ends()
    number = ends.open()
    data = messages.Data(number, bytes(200_000))
    with pytest.raises(errors.RemoteProtocolError, match="no credit"):
        for _ in range(100):
            ends.agent.received(data)
    assert ends.agent.held_bytes <= LIMITS.own_bytes + LIMITS.shared_bytes


def test_streams_that_stand_still_leave_the_others_their_own() -> None:
    ends = Ends()
    for _ in range(40):
        number = ends.open()
        while ends.send(number, 10_000):
            pass
    number = ends.open()
    assert ends.laptop.room(number, 64 * KIB) == 64 * KIB - FRAME
    for _ in range(100):
        size = ends.laptop.room(number, 64 * KIB)
        assert ends.send(number, size)
        ends.agent.consumed(number, size + FRAME)
        assert ends.agent.due
        ends.give_back()


def test_little_credit_is_not_worth_a_message_while_there_is_more() -> None:
    ends = Ends(messages.StreamLimits(shared_bytes=1 << 20))
    for _ in range(30):
        other = ends.open()
        while ends.send(other, ends.laptop.room(other, 64 * KIB) or 1):
            pass
    number = ends.open()
    assert ends.send(number, 60 * KIB)
    assert ends.laptop.room(number, 20 * KIB) == 0
    assert ends.laptop.room(number, 100) == 100


def test_credit_is_due_when_half_of_what_a_stream_has_waits() -> None:
    ends = Ends()
    number = ends.open()
    ends.send(number, 40 * KIB)
    ends.give_back()
    ends.agent.consumed(number, 10 * KIB)
    assert not ends.agent.due
    ends.agent.consumed(number, 22 * KIB)
    assert ends.agent.due


def test_nothing_is_dealt_with_twice() -> None:
    ends = Ends()
    number = ends.open()
    ends.send(number, 10)
    ends.agent.consumed(number, 10 + FRAME)
    with pytest.raises(errors.LocalProtocolError, match="twice"):
        ends.agent.consumed(number, 1)
    with pytest.raises(errors.RemoteProtocolError, match="less under way"):
        ends.laptop.credited(number, 11 + FRAME)


def test_a_stream_used_in_small_pieces_stays_urgent_for_ever() -> None:
    """Although reports come late: a receiver of streams owes one each 32 KiB."""
    ends = Ends()
    number = ends.open()
    for _ in range(5000):
        assert ends.laptop.is_urgent(number, 100 + FRAME)
        assert ends.send(number, 100)
        ends.agent.consumed(number, 100 + FRAME)
        if ends.agent.due:
            ends.give_back()


def test_one_that_sends_much_is_bulk_until_it_was_reported() -> None:
    ends = Ends()
    number = ends.open()
    assert ends.send(number, 60 * KIB)
    assert not ends.laptop.is_urgent(number, 10 * KIB)
    assert ends.send(number, 10 * KIB)
    assert not ends.laptop.is_urgent(number, 1 + FRAME)
    ends.give_back()
    assert ends.laptop.is_urgent(number, flow.URGENT_BYTES)


def test_what_is_still_urgent_is_cut_off_while_bulk_is_on_the_way() -> None:
    ends = Ends()
    number = ends.open()
    assert ends.laptop.room(number, 200 * KIB) == 200 * KIB
    ends.link.admit(100, False)
    assert ends.laptop.room(number, 200 * KIB) == 64 * KIB - FRAME
