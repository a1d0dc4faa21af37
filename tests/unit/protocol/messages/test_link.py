"""The messages that keep and end a link, on the wire."""

from devloop.protocol import messages
from tests.unit.protocol import samples


def test_questions_answers_and_credit_on_the_wire() -> None:
    assert samples.wire(messages.Ping(5)) == [7, 5]
    assert samples.wire(messages.Pong(5)) == [8, 5]
    assert samples.wire(messages.Credit(70, ((16, 60), (1, 10)))) == [9, 70, [[16, 60], [1, 10]]]


def test_the_farewell_on_the_wire() -> None:
    farewell = messages.Bye(messages.Refusal.OWNED, "held", "ask ann", "ann@host")
    assert samples.wire(farewell) == [3, "owned", "held", "ask ann", "ann@host"]


def test_an_unknown_refusal_is_read_as_one_of_the_protocol() -> None:
    assert messages.Refusal("from the future") is messages.Refusal.PROTOCOL
