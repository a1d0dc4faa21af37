"""Every error that devloop raises on purpose.

A `DevloopError` is written for the person who reads it: what happened, and how to fix it. The command line
prints the two and ends with the error's exit status; nothing else in the program prints or exits.

    DevloopError
    ├── UsageError          the command line or its combination of flags
    ├── ConfigError         devloop.yaml, with file, line and column
    │   └── ConfigErrors    several of them, found together
    ├── LocalError          the laptop's disk, processes or another devloop on it
    │   └── RootError       a folder that must not be synced from, or to
    ├── OwnedError          someone else holds the session or the project
    ├── LinkError           the connection to an agent
    │   ├── AuthError       the key, or the rights to read it
    │   ├── SkewError       the two sides speak different major versions
    │   └── ProtocolError
    │       ├── LocalProtocolError    this side broke the protocol: a bug in devloop
    │       └── RemoteProtocolError   the peer broke it, or the bytes were damaged
    ├── AgentError          the agent refused or could not do its part
    ├── DialError           a connection from the pod's side could not be made
    └── ClusterError        Kubernetes: its API server, or the way there
        ├── KubeconfigError     the kubeconfig, or what it asks for
        │   └── ContextError    another context than the project's
        ├── CredentialsError    who you are was not accepted, or could not be found out
        ├── ForbiddenError      what you may not do
        ├── NotThereError       an object, a namespace or a kind that does not exist
        ├── RefusedError        the API server did not take a change
        │   └── ConflictError   somebody else changed the object, or made it first
        ├── UnreachableError    the API server does not answer
        ├── ForwardError        a port-forward failed or ended
        └── ExecError           a command could not be run in a container
            ├── NotRunError     it was not even started
            └── CutError        its connection ended before it did

Trouble with one path is not an error but a value: see `devloop.core.problem`.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator, Sequence
from typing import ClassVar


class Exit(enum.IntEnum):
    """The exit statuses of the command line. New ones may be added; anything unknown is a failure."""

    OK = 0
    ERROR = 1
    USAGE = 2
    PARTIAL = 3
    AUTH = 4
    UNREACHABLE = 5
    SKEW = 6
    OWNED = 7
    INTERRUPTED = 130


class DevloopError(Exception):
    """An error with a message for people, a hint how to fix it, a code and an exit status.

    Args:
        message: What happened, without a full stop at the end.
        hint: What the reader can do about it; empty where nothing sensible can be said.
        code: `DL` and four digits, explained by `devloop explain CODE`; the class's own by default.
    """

    code: ClassVar[str] = "DL0001"
    exit_status: Exit = Exit.ERROR

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.error_code = code or self.code

    def __str__(self) -> str:
        return self.message


class UsageError(DevloopError):
    """The command line cannot be carried out as written."""

    code = "DL0100"
    exit_status = Exit.USAGE


class ConfigError(DevloopError):
    """devloop.yaml, or what it refers to, is wrong.

    Args:
        message: What is wrong.
        hint: How to mend it.
        code: See `DevloopError`.
        file: The file as the user named it; empty where there is none.
        line: 1-based; 0 where unknown.
        column: 1-based; 0 where unknown.
    """

    code = "DL0200"
    exit_status = Exit.USAGE

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str | None = None,
        file: str = "",
        line: int = 0,
        column: int = 0,
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.file = file
        self.line = line
        self.column = column

    def location(self) -> str:
        """Return `file:line:col`, in the form that compilers and editors use, or an empty string."""
        if not self.file:
            return ""
        return f"{self.file}:{self.line or 1}:{self.column or 1}"


class ConfigErrors(ConfigError):
    """Several things that are wrong with devloop.yaml, in the order of the file.

    Args:
        errors: At least one; the first lends this error its message, code and place.
    """

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        first = errors[0]
        super().__init__(
            first.message,
            hint=first.hint,
            code=first.error_code,
            file=first.file,
            line=first.line,
            column=first.column,
        )
        self.errors = tuple(errors)


class LocalError(DevloopError):
    """Something on this machine does not work."""

    code = "DL0300"


class RootError(LocalError):
    """A folder that devloop refuses to sync from or to."""

    code = "DL0310"
    exit_status = Exit.USAGE


class OwnedError(DevloopError):
    """Another session or process owns what this one wants.

    Args:
        message: What is owned.
        hint: How to take it over, or whom to ask.
        owner: Who holds it.
    """

    code = "DL0400"
    exit_status = Exit.OWNED

    def __init__(self, message: str, *, hint: str = "", owner: str = "") -> None:
        super().__init__(message, hint=hint)
        self.owner = owner


class LinkError(DevloopError):
    """The connection to an agent failed or ended."""

    code = "DL0500"
    exit_status = Exit.UNREACHABLE


class AuthError(LinkError):
    """One side could not prove that it knows the agent's key."""

    code = "DL0510"
    exit_status = Exit.AUTH


class SkewError(LinkError):
    """Laptop and agent speak different major versions of the protocol."""

    code = "DL0520"
    exit_status = Exit.SKEW


class ProtocolError(LinkError):
    """The protocol was broken.

    Args:
        message: What is wrong.
        hint: See `DevloopError`.
        where: Which frame or field, for the log; empty where there is none.
    """

    code = "DL0530"

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        super().__init__(message, hint=hint)
        self.where = where


class LocalProtocolError(ProtocolError):
    """This side was about to break the protocol: a bug in devloop, caught before it was sent."""

    code = "DL0531"


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol does not allow, or the bytes were damaged on the way."""

    code = "DL0532"


class AgentError(DevloopError):
    """The agent could not start, or refused its part."""

    code = "DL0600"

    BUSY: ClassVar[str] = "DL0607"
    """The code of an agent that finds another one in its place, perhaps one that is just ending."""


class Refused(enum.StrEnum):
    """Why a connection was not made."""

    PORT = "port"
    """Nothing listens there: the other end refused."""
    UNREACHABLE = "unreachable"
    """No way leads there, or nobody answers in time."""
    NAME = "name"
    """The name is not known on the pod's side."""
    RULE = "rule"
    """The agent may not dial it."""
    LIMIT = "limit"
    """Too many connections are open."""


class DialError(DevloopError):
    """A connection from the pod's side could not be made; what would have carried it is well.

    Args:
        message: What happened.
        hint: See `DevloopError`.
        code: See `DevloopError`.
        why: The kind of refusal, as proxies and resets must tell it on.
    """

    code = "DL0620"

    def __init__(
        self, message: str, *, hint: str = "", code: str | None = None, why: Refused = Refused.UNREACHABLE
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.why = why


class ClusterError(DevloopError):
    """Kubernetes, or the way there, does not do what is needed.

    Args:
        message: What happened.
        hint: How to fix it.
        code: See `DevloopError`.
        status: The HTTP status that the API server answered with; 0 where it did not answer.
        reason: The API server's word for it, such as `Expired`; empty where it gave none.
        words: What the API server said, with nothing of devloop's around it; empty where it said nothing.
    """

    code = "DL0700"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str | None = None,
        status: int = 0,
        reason: str = "",
        words: str = "",
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.status = status
        self.reason = reason
        self.words = words


class KubeconfigError(ClusterError):
    """The kubeconfig is missing, is wrong, or asks for what devloop cannot do."""

    code = "DL0710"
    exit_status = Exit.USAGE


class ContextError(KubeconfigError):
    """The chosen context is not the one that the project belongs to."""

    code = "DL0711"


class CredentialsError(ClusterError):
    """The API server did not accept who the user is, or that could not be found out."""

    code = "DL0720"
    exit_status = Exit.AUTH


class ForbiddenError(ClusterError):
    """The user may not do what is needed."""

    code = "DL0721"
    exit_status = Exit.AUTH


class NotThereError(ClusterError):
    """What is asked for does not exist in the cluster."""

    code = "DL0730"


class RefusedError(ClusterError):
    """The API server did not take a change: invalid, over a quota, denied by an admission rule."""

    code = "DL0731"


class ConflictError(RefusedError):
    """Somebody else changed the object meanwhile, or made it first."""

    code = "DL0732"


class UnreachableError(ClusterError):
    """The API server does not answer, or not in time, or something else answers in its place."""

    code = "DL0740"
    exit_status = Exit.UNREACHABLE


class ForwardError(ClusterError):
    """A port-forward to a pod failed or ended."""

    code = "DL0750"
    exit_status = Exit.UNREACHABLE


class ExecError(ClusterError):
    """A command could not be run in a container, or its output could not be had."""

    code = "DL0751"


class NotRunError(ExecError):
    """A command was not started in its container.

    Args:
        message: What happened.
        hint: See `DevloopError`.
        missing: The container has no such program.
    """

    code = "DL0752"

    def __init__(self, message: str, *, hint: str = "", missing: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.missing = missing


class CutError(ExecError):
    """The connection to a running command ended before the command did."""

    code = "DL0753"
    exit_status = Exit.UNREACHABLE


@contextlib.contextmanager
def single() -> Iterator[None]:
    """Let a block end with the first of the errors that its task group raised, instead of with a group of them.

    For that `except*` will not do: Python before 3.11.4 wraps the one error that is raised in it into a group again.
    Where something else was raised too, such as a bug, the group stays as it is.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        found, rest = group.split(DevloopError)
        if found is None or rest is not None:
            raise
        raise first(found) from None


def first(group: BaseExceptionGroup[DevloopError]) -> DevloopError:
    """Return the first error of a group, however deep it lies: what a task group raised, for people."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, DevloopError)
    return error
