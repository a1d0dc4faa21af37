"""The credit of byte streams: what each has to itself, what they share, and the bound of both."""

from hypothesis import given
from hypothesis import strategies as st

from devloop.protocol import messages, pool

KIB = 1 << 10
MIB = 1 << 20
LIMITS = messages.StreamLimits()


def test_one_stream_may_have_half_of_what_is_shared() -> None:
    subject = pool.Pool(LIMITS)
    held = 0
    while room := min(subject.room(held), 64 * KIB):
        held = subject.take(held, room)
    assert held == LIMITS.own_bytes + LIMITS.shared_bytes // 2
    assert subject.shared_bytes == LIMITS.shared_bytes // 2


def test_a_stream_always_has_its_own_however_many_stand_still() -> None:
    subject = pool.Pool(LIMITS)
    for _ in range(LIMITS.max_open - 1):
        held = 0
        while room := subject.room(held):
            held = subject.take(held, room)
    assert subject.room(0) >= LIMITS.own_bytes
    assert subject.held_bytes <= LIMITS.max_open * LIMITS.own_bytes + LIMITS.shared_bytes


def test_what_is_given_back_can_be_taken_again() -> None:
    subject = pool.Pool(LIMITS)
    held = subject.take(0, 3 * MIB)
    held = subject.give_back(held, 3 * MIB)
    assert (held, subject.held_bytes, subject.shared_bytes) == (0, 0, 0)


def test_more_than_there_is_does_not_fit() -> None:
    subject = pool.Pool(LIMITS)
    held = subject.take(0, LIMITS.shared_bytes)
    assert subject.fits(held, LIMITS.own_bytes)
    assert not subject.fits(held, LIMITS.own_bytes + 1)
    assert subject.fits(0, LIMITS.own_bytes)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 4 * MIB), st.booleans()), max_size=200))
def test_what_a_sender_may_send_the_receiver_can_hold(steps: list[tuple[int, int, bool]]) -> None:
    """The receiver, which never has more than the sender believes to be under way, finds that it fits."""
    sender, receiver = pool.Pool(LIMITS), pool.Pool(LIMITS)
    sent, kept = [0] * 8, [0] * 8
    for stream, size, back in steps:
        if back:
            given_back = min(size, kept[stream])
            kept[stream] = receiver.give_back(kept[stream], given_back)
            if size % 2:
                sent[stream] = sender.give_back(sent[stream], given_back)
            continue
        size = min(size, sender.room(sent[stream]))
        sent[stream] = sender.take(sent[stream], size)
        assert receiver.fits(kept[stream], size)
        kept[stream] = receiver.take(kept[stream], size)
        assert sender.shared_bytes <= LIMITS.shared_bytes
    assert receiver.held_bytes == sum(kept) <= 8 * LIMITS.own_bytes + LIMITS.shared_bytes
