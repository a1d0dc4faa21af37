"""The laptop's account of its batches and requests."""

from collections.abc import Callable

import pytest

from devloop import errors
from devloop.core import entry, problem
from devloop.protocol import bodies, inbound, laptop, messages
from tests.protocol import playbook as play

ROOTS = (bytes(32), bytes(32))
ACK = messages.Ack(16, 16, ROOTS)


def sending(*sent: messages.Control) -> play.Playbook:
    subject = play.open_laptop()
    for message in sent:
        subject.half.send(message)
        subject.sends(message)
    return subject


def test_a_batch_lives_from_begin_to_ack() -> None:
    subject = sending(messages.Begin(16, 0))
    assert subject.half.can_send(16, 100)
    for message in bodies.Encoder(0).packs(16, [(0, bytes(60_000))]):
        subject.half.send_bulk(message)
    subject.does(lambda half: half.send(messages.Commit(16))).sends(messages.Pack, messages.Commit)
    subject.gets(ACK).tells(ACK).quiet()
    assert subject.half.statistics().streams == ()
    with pytest.raises(errors.LocalProtocolError, match="not open"):
        subject.half.can_send(16, 1)


def test_an_ack_gets_back_what_was_split_off() -> None:
    subject = sending(messages.Begin(16, 0), messages.Commit(16))
    bad = messages.WireProblem(0, b"x", problem.Reason.IO, "bad")
    subject.gets(messages.Problems(16, (bad,))).gets(messages.Problems(16, overwritten=((0, b"y"),))).quiet()
    subject.gets(ACK).tells(messages.Ack(16, 16, ROOTS, (bad,), ((0, b"y"),)))


def test_problems_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laptop, "_MAX_PROBLEMS", 2)
    subject = sending(messages.Begin(16, 0), messages.Commit(16))
    subject.gets(messages.Problems(16, overwritten=((0, b"y"),) * 3))
    subject.tells(play.closed_with(errors.RemoteProtocolError, "more than 2 problems"))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (ACK, "not committed"),
        (messages.Ack(17, 17, ROOTS), "not under way"),
        (messages.Problems(17), "not under way"),
        (messages.Need(17, (0,)), "never begun"),
        (messages.Done(16), "not asked"),
        (messages.Part(16, 1, messages.Codec.RAW, b"x"), "not open"),
        (messages.Begin(16, 1), "got Begin"),
    ],
)
def test_what_makes_no_sense_from_the_agent_ends_the_session(message: messages.Message, words: str) -> None:
    sending(messages.Begin(16, 0)).gets(message).tells(play.closed_with(errors.RemoteProtocolError, words))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (messages.Begin(16, 1), "batch 16 after 16"),
        (messages.Begin(15, 1), "batch 15 after 16"),
        (messages.Commit(17), "Commit for batch 17, which is not under way"),
        (messages.Abort(17), "Abort for batch 17, which is not under way"),
        (messages.Cancel(17, (0,)), "Cancel for batch 17, which is not under way"),
        (messages.Copy(17, 0, 0, b"x"), "Copy for batch 17, which is not under way"),
        (messages.Request(3, messages.Ask.SWEEP), "the number 3 is taken"),
        (messages.Request(20, messages.Ask.SWEEP), "the number 20 is taken"),
        (messages.Need(16, (0,)), "must not send Need"),
    ],
)
def test_what_makes_no_sense_to_the_agent_is_not_sent(message: messages.Control, words: str) -> None:
    subject = sending(messages.Begin(16, 0), messages.Request(20, messages.Ask.SWEEP))
    with pytest.raises(errors.LocalProtocolError, match=words):
        subject.half.send(message)
    subject.quiet()


def test_no_more_is_begun_than_the_agent_takes() -> None:
    subject = sending(messages.Begin(16, 1_500_000))
    half = subject.half
    assert isinstance(half, laptop.LaptopSession)
    assert half.can_begin(500_000)
    assert not half.can_begin(500_001)
    with pytest.raises(errors.LocalProtocolError, match="too much is under way"):
        half.send(messages.Begin(17, 500_001))
    for number in range(17, 16 + inbound.MAX_BATCHES):
        half.send(messages.Begin(number, 0))
    assert not half.can_begin(0)


def test_nothing_is_committed_or_aborted_twice() -> None:
    subject = sending(messages.Begin(16, 0), messages.Commit(16))
    for message in (messages.Commit(16), messages.Abort(16)):
        with pytest.raises(errors.LocalProtocolError, match="committed"):
            subject.half.send(message)


def test_a_commit_that_does_not_fit_was_not_sent() -> None:
    subject = sending(messages.Begin(16, 0))
    with pytest.raises(errors.LocalProtocolError, match="does not fit"):
        subject.half.send(messages.Commit(16, (messages.HookSpec("x" * 300_000, (), ""),)))
    subject.does(lambda half: half.send(messages.Commit(16))).sends(messages.Commit)


def test_an_aborted_batch_may_be_needed_by_a_message_that_crossed() -> None:
    sending(messages.Begin(16, 0), messages.Abort(16)).gets(messages.Need(16, (0,))).tells(messages.Need).quiet()


def test_many_cancelled_ops_take_several_messages() -> None:
    subject = sending(messages.Begin(16, 0)).does(lambda half: half.send(messages.Cancel(16, tuple(range(50_000)))))
    subject.sends(messages.Cancel, messages.Cancel).quiet()


def test_a_request_lives_until_it_is_done_and_its_number_may_be_used_again() -> None:
    subject = sending(messages.Request(16, messages.Ask.MANIFEST))
    part = messages.Part(16, 5, messages.Codec.RAW, b"hello")
    subject.gets(part).tells(part).gets(messages.Done(16)).tells(messages.Done(16))
    with pytest.raises(errors.LocalProtocolError, match="taken"):
        subject.half.send(messages.Request(16, messages.Ask.SWEEP))
    subject.does(lambda half: half.consumed(16, messages.cost(part))).quiet()
    subject.gets(messages.Output(1, "app", False, 0, bytes(66_000))).tells(messages.Output)
    subject.sends(messages.Credit(66_133, ((16, 69),)))
    subject.does(lambda half: half.send(messages.Request(16, messages.Ask.SWEEP))).sends(messages.Request)
    subject.gets(messages.Done(16)).tells(messages.Done).gets(messages.Done(16))
    subject.tells(play.closed_with(errors.RemoteProtocolError, "not asked"))


def test_requests_are_bounded() -> None:
    subject = play.open_laptop()
    for number in range(16, 16 + 255):
        subject.half.send(messages.Request(number, messages.Ask.SWEEP))
    with pytest.raises(errors.LocalProtocolError, match="too many requests"):
        subject.half.send(messages.Request(999, messages.Ask.SWEEP))


@pytest.mark.parametrize(
    "message",
    [
        messages.Findings(0, (), 0, (), 0, 0),
        messages.AppChanged("running", 1, 1),
        messages.HookStarted("pip"),
        messages.HookDone("pip", True, "exit 0", 1),
    ],
)
def test_news_are_passed_on(message: messages.Message) -> None:
    play.open_laptop().gets(message).tells(message).quiet()


FILE = entry.file(bytes(32), 1)
UNSAFE = [b"../x", b"/x", b"a/../../x", b"a\0b", b".git/x", b"a/.devloop/x", b"", b"a//b", b"x" * 5000]


@pytest.mark.parametrize("path", UNSAFE)
@pytest.mark.parametrize(
    ("where", "make"),
    [
        (
            "Ack.problems",
            lambda path: messages.Ack(16, 16, ROOTS, (messages.WireProblem(0, path, problem.Reason.IO, "bad"),)),
        ),
        ("Ack.overwritten", lambda path: messages.Ack(16, 16, ROOTS, (), ((1, path),))),
        (
            "Problems.problems",
            lambda path: messages.Problems(16, (messages.WireProblem(0, path, problem.Reason.IO, "bad"),)),
        ),
        ("Findings.drift", lambda path: messages.Findings(0, (messages.WireDrift(path, FILE, None),), 1, (), 0, 0)),
        ("Findings.extra", lambda path: messages.Findings(0, (), 0, (path,), 1, 0)),
        ("Findings.pulls", lambda path: messages.Findings(0, (), 0, (), 0, 0, ((path, FILE),))),
    ],
)
def test_a_path_from_the_agent_that_is_not_safe_ends_the_session(
    where: str, make: Callable[[bytes], messages.Message], path: bytes
) -> None:
    subject = sending(messages.Begin(16, 0), messages.Commit(16)).gets(make(path))
    subject.tells(play.closed_with(errors.RemoteProtocolError, where=where)).sends(play.bye(messages.Refusal.PROTOCOL))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (messages.Ack(16, 16, ()), "0 digests for 2 roots"),
        (messages.Ack(16, 16, (bytes(32),) * 3), "3 digests for 2 roots"),
        (messages.Ack(16, 16, (bytes(32), b"short")), "digests for 2 roots"),
        (messages.Ack(16, 16, ROOTS, (messages.WireProblem(2, b"x", problem.Reason.IO, "bad"),)), "root 2 of 2"),
        (messages.Ack(16, 16, ROOTS, (), ((2, b"x"),)), "root 2 of 2"),
        (messages.Findings(2, (), 0, (), 0, 0), "root 2 of 2"),
        (messages.Findings(2**40, (), 0, (), 0, 0), "root 1099511627776 of 2"),
        (messages.Findings(0, (), 0, (), 0, 0, ((b"x", entry.folder()),)), "no file to pull"),
        (
            messages.Findings(0, (), 0, (), 0, 0, ((b"x", entry.Entry(entry.Kind.FILE, False, 1, b"short", b"")),)),
            "no file to pull",
        ),
        (messages.Need(16, (1,)), "op 1 of batch 16 is needed"),
        (messages.Need(16, (0, 0)), "op 0 of batch 16 is needed"),
    ],
)
def test_what_no_honest_agent_says_ends_the_session(message: messages.Message, words: str) -> None:
    subject = sending(messages.Begin(16, 1), messages.Commit(16)).gets(message)
    subject.tells(play.closed_with(errors.RemoteProtocolError, words)).sends(play.bye(messages.Refusal.PROTOCOL))


def test_a_body_is_needed_once() -> None:
    subject = sending(messages.Begin(16, 1), messages.Commit(16))
    subject.gets(messages.Need(16, (0,))).tells(messages.Need(16, (0,)))
    subject.gets(messages.Need(16, (0,))).tells(play.closed_with(errors.RemoteProtocolError, "needed"))
