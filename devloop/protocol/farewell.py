"""Errors as the last words of a session, and last words as errors.

An error that ends the session here becomes the `Bye` that tells the peer; a `Bye` that came becomes the error that
it means on this side.
"""

from __future__ import annotations

from typing import Final

from devloop import errors
from devloop.protocol import messages, state

# So that a Bye fits into what a stranger may send; no message for people is longer.
_MAX_WORDS: Final = 300


def to_bye(error: errors.DevloopError) -> messages.Bye:
    """Return what to tell the peer about an error that ends the session."""
    match error:
        case errors.SkewError():
            reason = messages.Refusal.MAJOR
        case errors.AuthError():
            reason = messages.Refusal.PROOF
        case errors.OwnedError():
            reason = messages.Refusal.OWNED
        case errors.ProtocolError():
            reason = messages.Refusal.PROTOCOL
        case _:
            reason = messages.Refusal.STOPPING
    owner = error.owner if isinstance(error, errors.OwnedError) else ""
    return messages.Bye(reason, error.message[:_MAX_WORDS], error.hint[:_MAX_WORDS], owner[:_MAX_WORDS])


def to_error(bye: messages.Bye, sender: state.Role) -> errors.DevloopError:
    """Return the error that a `Bye` means to the side that got it.

    Args:
        bye: The message.
        sender: The side that said it.
    """
    match bye.reason:
        case messages.Refusal.MAJOR:
            return errors.SkewError(bye.message, hint=bye.hint)
        case messages.Refusal.PROOF:
            return errors.AuthError(f"the {sender} refused: {bye.message}", hint=bye.hint)
        case messages.Refusal.EPOCH | messages.Refusal.OWNED:
            return errors.OwnedError(bye.message, hint=bye.hint, owner=bye.owner)
        case messages.Refusal.ROOTS:
            return errors.AgentError(bye.message, hint=bye.hint)
        case messages.Refusal.PROTOCOL:
            return errors.ProtocolError(f"the {sender} ended the session: {bye.message}", hint=bye.hint)
        case messages.Refusal.SILENT | messages.Refusal.STOPPING:
            return errors.LinkError(f"the {sender} ended the session: {bye.message}", hint=bye.hint)
