"""The handshake as scripts: the good way, and everything that must not open a session."""

import pytest

from devloop import errors
from devloop.protocol import agent, codec, handshake, keepalive, laptop, messages, session, state
from tests.protocol import playbook as play


def fresh_agent() -> play.Playbook:
    return play.Playbook(agent.AgentSession(play.KEY, play.AGENT_NONCE, 0.0))


def fresh_laptop() -> play.Playbook:
    return play.Playbook(laptop.LaptopSession(play.KEY, play.LAPTOP_NONCE, 0.0))


def nonce(raw: bytes, major: int = 1, version: str = "0.1.0") -> messages.Nonce:
    return messages.Nonce("devloop", major, raw, version)


def proof(role: state.Role, key: bytes = play.KEY) -> messages.Proof:
    return handshake.proof(key, role, play.LAPTOP_NONCE, play.AGENT_NONCE)


def test_both_halves_open_a_session() -> None:
    pair = play.Pair()
    pair.pump()
    assert [type(event) for event in pair.at_agent] == [session.Authenticated]
    assert [type(event) for event in pair.at_laptop] == [session.Authenticated]
    pair.agent.send(play.agent_hello())
    pair.pump()
    assert [type(event) for event in pair.at_laptop] == [session.Authenticated, messages.AgentHello]
    pair.laptop.send(play.laptop_hello())
    pair.pump()
    pair.agent.send(messages.Welcome(1))
    pair.pump()
    opened = session.Opened(frozenset({"delta", "copy", "streams"}), 1)
    assert pair.at_agent[-1] == opened
    assert pair.at_laptop[-1] == opened
    assert pair.laptop.phase is state.State.OPEN
    assert pair.agent.phase is state.State.OPEN
    assert pair.laptop.statistics().rtt_s == 0.0
    assert pair.agent.statistics().rtt_s == 0.0


def test_features_and_minor_are_what_both_sides_have() -> None:
    half = play.open_laptop(features=frozenset({"copy", "teleport"}), minor=7).half
    assert half.features == {"copy"}


def test_the_agent_says_nothing_about_itself_before_the_proof() -> None:
    fresh_agent().sends(messages.Nonce).gets(nonce(play.LAPTOP_NONCE)).quiet()


@pytest.mark.parametrize(
    "message",
    [
        messages.Begin(16, 1),
        messages.Request(16, messages.Ask.MANIFEST),
        messages.Ping(1),
        messages.Credit(0),
        play.laptop_hello(),
        messages.Welcome(1),
        nonce(play.LAPTOP_NONCE),
    ],
)
def test_an_agent_takes_nothing_before_the_proof(message: messages.Message) -> None:
    (
        fresh_agent()
        .sends(messages.Nonce)
        .gets(nonce(play.LAPTOP_NONCE))
        .gets(message)
        .tells(play.closed_with(errors.RemoteProtocolError, "in state await-proof"))
        .sends(play.bye(messages.Refusal.PROTOCOL))
        .quiet()
    )


def test_an_agent_takes_a_proof_only_after_the_nonce() -> None:
    fresh_agent().gets(proof(state.Role.LAPTOP)).tells(play.closed_with(errors.RemoteProtocolError))


def test_a_wrong_key_is_refused_and_told() -> None:
    (
        fresh_agent()
        .sends(messages.Nonce)
        .gets(nonce(play.LAPTOP_NONCE))
        .gets(proof(state.Role.LAPTOP, b"another key"))
        .tells(play.closed_with(errors.AuthError))
        .sends(play.bye(messages.Refusal.PROOF))
        .quiet()
    )


def test_an_agent_with_a_wrong_key_is_refused_by_the_laptop() -> None:
    (
        fresh_laptop()
        .sends(messages.Nonce)
        .gets(nonce(play.AGENT_NONCE))
        .sends(messages.Proof)
        .gets(proof(state.Role.AGENT, b"another key"))
        .tells(play.closed_with(errors.AuthError))
        .sends(play.bye(messages.Refusal.PROOF))
    )


def test_a_wrong_key_reaches_the_laptop_as_an_auth_error() -> None:
    pair = play.Pair(key=b"another key")
    pair.pump()
    assert isinstance(pair.at_laptop[-1], session.Closed)
    assert isinstance(pair.at_laptop[-1].error, errors.AuthError)
    assert pair.at_laptop[-1].by_peer


def test_a_reflected_proof_proves_nothing() -> None:
    # the stranger echoes the laptop's own nonce and proof
    subject = fresh_laptop().sends(messages.Nonce).gets(nonce(play.LAPTOP_NONCE))
    echoed = handshake.proof(play.KEY, state.Role.LAPTOP, play.LAPTOP_NONCE, play.LAPTOP_NONCE)
    subject.sends(echoed).gets(echoed).tells(play.closed_with(errors.AuthError))


def test_a_replayed_proof_proves_nothing() -> None:
    recorded = proof(state.Role.LAPTOP)
    later = play.Playbook(agent.AgentSession(play.KEY, b"B" * 32, 0.0))
    later.sends(messages.Nonce).gets(nonce(play.LAPTOP_NONCE)).gets(recorded)
    later.tells(play.closed_with(errors.AuthError))


@pytest.mark.parametrize(
    ("major", "hint"), [(2, "pip install --upgrade 'devloop-k8s==9.9'"), (0, "agent image with the tag 0.1.0")]
)
def test_another_major_is_refused_by_the_laptop_with_the_fix(major: int, hint: str) -> None:
    subject = fresh_laptop().sends(messages.Nonce).gets(nonce(play.AGENT_NONCE, major, "9.9"))
    subject.tells(lambda event: isinstance(event.error, errors.SkewError) and hint in event.error.hint)
    subject.sends(play.bye(messages.Refusal.MAJOR)).quiet()


@pytest.mark.parametrize(
    ("major", "hint"), [(2, "agent image with the tag 9.9"), (0, "pip install --upgrade 'devloop-k8s==0.1.0'")]
)
def test_another_major_is_refused_by_the_agent_with_the_same_fix(major: int, hint: str) -> None:
    subject = fresh_agent().sends(messages.Nonce).gets(nonce(play.LAPTOP_NONCE, major, "9.9"))
    subject.tells(lambda event: isinstance(event.error, errors.SkewError) and hint in event.error.hint)


def test_another_magic_is_refused() -> None:
    subject = fresh_agent().sends(messages.Nonce).gets(messages.Nonce("http", 1, bytes(32), ""))
    subject.tells(play.closed_with(errors.RemoteProtocolError, "does not speak"))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_nonce_of_another_length_is_refused(size: int) -> None:
    fresh_agent().gets(nonce(bytes(size))).tells(play.closed_with(errors.RemoteProtocolError))
    with pytest.raises(errors.LocalProtocolError):
        agent.AgentSession(play.KEY, bytes(size), 0.0)


def test_a_stranger_may_send_only_short_frames() -> None:
    long = nonce(play.LAPTOP_NONCE, version="x" * codec.MAX_STRANGER_FRAME_BYTES)
    fresh_agent().gets(long).tells(play.closed_with(errors.RemoteProtocolError, "allowed are 4096"))


def test_a_stranger_that_says_nothing_is_given_up() -> None:
    subject = fresh_agent().sends(messages.Nonce).waits(keepalive.SILENT_AFTER_S)
    subject.tells(play.closed_with(errors.LinkError, "nothing was heard")).sends(play.bye(messages.Refusal.SILENT))


def test_hellos_may_be_long_and_slow() -> None:
    subject = fresh_laptop().sends(messages.Nonce).gets(nonce(play.AGENT_NONCE)).sends(messages.Proof)
    subject.gets(proof(state.Role.AGENT)).tells(session.Authenticated)
    subject.waits(keepalive.PING_AFTER_S).sends(messages.Ping).gets(messages.Pong(1))
    subject.gets(play.agent_hello(roots=500)).tells(messages.AgentHello).quiet()


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (messages.Refusal.EPOCH, errors.OwnedError),
        (messages.Refusal.OWNED, errors.OwnedError),
        (messages.Refusal.ROOTS, errors.AgentError),
        (messages.Refusal.PROTOCOL, errors.ProtocolError),
        (messages.Refusal.STOPPING, errors.LinkError),
        (messages.Refusal.SILENT, errors.LinkError),
        (messages.Refusal.MAJOR, errors.SkewError),
        (messages.Refusal.PROOF, errors.AuthError),
    ],
)
def test_each_bye_means_its_error(reason: messages.Refusal, error: type[errors.DevloopError]) -> None:
    subject = fresh_laptop().sends(messages.Nonce).gets(messages.Bye(reason, "so it is", "do that", "ann@host"))
    subject.tells(
        lambda event: event.by_peer and isinstance(event.error, error) and event.error.hint == "do that"
    ).quiet()


def test_a_bye_for_an_unknown_reason_is_understood() -> None:
    strange = codec.FrameWriter().frame(b"\x93\x03\xa5later\xa2no")
    fresh_laptop().gets_frame(strange).tells(play.closed_with(errors.ProtocolError, "no"))


def test_the_laptop_may_decline_an_agent() -> None:
    subject = fresh_laptop().sends(messages.Nonce).gets(nonce(play.AGENT_NONCE)).sends(messages.Proof)
    subject.gets(proof(state.Role.AGENT)).gets(play.agent_hello())
    subject.does(lambda half: half.send(messages.Bye(messages.Refusal.OWNED, "held")))
    subject.sends(play.bye(messages.Refusal.OWNED)).tells(session.Authenticated, messages.AgentHello)
    subject.tells(session.Closed(None)).quiet()


def test_a_shell_that_speaks_out_of_turn_is_stopped() -> None:
    half = agent.AgentSession(play.KEY, play.AGENT_NONCE, 0.0)
    with pytest.raises(errors.LocalProtocolError, match="must not send AgentHello"):
        half.send(play.agent_hello())
    assert not half.closed
