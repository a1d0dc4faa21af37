"""The agent's half: checked commands out, acks and answers in."""

import pytest

from devloop import errors
from devloop.core import entry, ops, problem
from devloop.protocol import agent, bodies, commands, messages
from tests.protocol import playbook as play


def receiving(batch: int = 16, content: bytes = b"hello") -> play.Playbook:
    """Return an agent's half that got a whole batch of one file."""
    subject = play.open_agent().gets(messages.Begin(batch, 1))
    encoder = bodies.Encoder(0)
    for message in encoder.ops(batch, [ops.put(0, "a", entry.file(bytes(32), len(content)))]):
        subject.gets(message)
    for pack in encoder.packs(batch, [(0, content)]):
        subject.gets(pack)
    return subject.gets(messages.Commit(batch))


def test_a_batch_comes_as_commands_and_is_acked() -> None:
    subject = receiving()
    subject.tells(commands.BeginBatch, commands.AddOps, commands.WriteBody, commands.CommitBatch)
    half = subject.half
    assert isinstance(half, agent.AgentSession)
    assert (half.low_water, half.low_water_with(16)) == (15, 16)
    ack = messages.Ack(16, 16, (bytes(32),))
    half.send(ack)
    subject.sends(ack).quiet()
    assert half.statistics().held_bytes == 0
    subject.does(lambda _: half.consumed(16, 5 + messages.FRAME_COST_BYTES)).quiet()


def test_an_ack_with_problems_is_split() -> None:
    bad = messages.WireProblem(0, b"x", problem.Reason.IO, "bad")
    subject = receiving().does(lambda half: half.send(messages.Ack(16, 16, (), (bad,))))
    subject.sends(messages.Problems(16, (bad,)), messages.Ack(16, 16, ()))


def test_only_a_committed_batch_is_acked() -> None:
    subject = play.open_agent().gets(messages.Begin(16, 1))
    for number in (16, 17):
        with pytest.raises(errors.LocalProtocolError, match="cannot be acked"):
            subject.half.send(messages.Ack(number, number, ()))
    assert not subject.half.closed


def test_a_batch_that_makes_no_sense_ends_the_session() -> None:
    subject = play.open_agent().gets(messages.Begin(16, 1)).gets(messages.Commit(16))
    subject.tells(commands.BeginBatch, play.closed_with(errors.RemoteProtocolError, "0 of 1 ops"))
    subject.sends(play.bye(messages.Refusal.PROTOCOL)).quiet()


def test_an_aborted_batch_gives_its_credit_back_as_it_is_dealt_with() -> None:
    subject = play.open_agent().gets(messages.Begin(16, 1))
    (message,) = bodies.Encoder(0).ops(16, [ops.delete(0, "x")])
    subject.gets(message).gets(messages.Abort(16))
    subject.tells(commands.BeginBatch, commands.AddOps, commands.AbortBatch)
    assert subject.half.statistics().held_bytes == messages.cost(message)
    subject.does(lambda half: half.send(messages.Need(16, (0,)))).quiet()
    subject.half.consumed(16, messages.cost(message))
    subject.quiet()


def test_what_is_needed_is_asked_for() -> None:
    subject = play.open_agent().gets(messages.Begin(16, 1))
    for message in bodies.Encoder(0).ops(16, [ops.put(0, "a", entry.file(bytes(32), 5))]):
        subject.gets(message)
    subject.gets(messages.Copy(16, 0, 1, b"b")).gets(messages.Commit(16))
    subject.tells(commands.BeginBatch, commands.AddOps, commands.CopyBody, commands.CommitBatch)
    subject.does(lambda half: half.send(messages.Need(16, (0,)))).sends(messages.Need(16, (0,)))
    subject.gets(messages.Pack(16, (0,), 5, messages.Codec.RAW, b"hello"))
    subject.tells(commands.WriteBody, commands.CommitBatch).quiet()


def test_a_request_is_answered_with_parts_and_done() -> None:
    asked = messages.Request(16, messages.Ask.PULL, 1, b"a/b")
    subject = play.open_agent().gets(asked).tells(asked)
    subject.does(lambda half: half.send_bulk(messages.Part(16, 1, messages.Codec.RAW, b"x")))
    subject.does(lambda half: half.send(messages.Done(16))).sends(messages.Part, messages.Done)
    with pytest.raises(errors.LocalProtocolError, match="not open"):
        subject.half.can_send(16, 1)
    subject.gets(messages.Credit(65, ((16, 65),))).quiet()
    subject.gets(asked).tells(asked).quiet()


def test_an_answer_to_nothing_is_not_sent() -> None:
    subject = play.open_agent()
    with pytest.raises(errors.LocalProtocolError, match="not open"):
        subject.half.send(messages.Done(16))
    subject.quiet()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (messages.Request(16, messages.Ask.PULL, 0, b""), "empty path"),
        (messages.Request(16, messages.Ask.PULL, 0, b"../x"), "segment"),
        (messages.Request(16, messages.Ask.MANIFEST, 0, b"/x"), "absolute"),
        (messages.Request(16, messages.Ask.MANIFEST, 2), "root 2 of 2"),
        (messages.Request(1, messages.Ask.SWEEP), "is taken"),
        (messages.Rules(2, b"", 0, b""), "root 2 of 2"),
        (messages.Part(16, 1, messages.Codec.RAW, b"x"), "got Part"),
        (messages.Ack(16, 16, ()), "got Ack"),
    ],
)
def test_what_makes_no_sense_from_the_laptop_ends_the_session(message: messages.Message, words: str) -> None:
    play.open_agent().gets(message).tells(play.closed_with(errors.RemoteProtocolError, words))


def test_a_request_number_is_used_once_at_a_time() -> None:
    asked = messages.Request(16, messages.Ask.SWEEP)
    subject = play.open_agent().gets(asked).tells(asked).gets(asked)
    subject.tells(play.closed_with(errors.RemoteProtocolError, "taken"))


def test_requests_are_bounded() -> None:
    subject = play.open_agent()
    for number in range(16, 16 + 255):
        subject.gets(messages.Request(number, messages.Ask.SWEEP)).tells(messages.Request)
    subject.gets(messages.Request(999, messages.Ask.SWEEP))
    subject.tells(play.closed_with(errors.RemoteProtocolError, "too many requests"))


def test_rules_are_passed_on() -> None:
    rules = messages.Rules(1, b"digest", 4, b"data")
    play.open_agent().gets(rules).tells(rules).quiet()


def test_findings_are_cut_to_fit() -> None:
    findings = messages.Findings(0, (), 0, tuple(b"e" * 4000 for _ in range(500)), 500, 0)
    subject = play.open_agent().does(lambda half: half.send(findings))
    subject.sends(lambda message: message.extra_count == 500 and len(message.extra) == 62)
