"""Kubeconfig files to one choice of cluster, user and namespace.

Merges the files as kubectl does: the first file that says something wins, for `current-context` as for every named
entry, and a relative path belongs to the folder of the file that it stands in. The Python client lets the last file's
`current-context` win, which is another cluster than kubectl's; that is one reason why this is done here.

Reads files; resolves no credentials and talks to nobody (see `devloop.kube.credentials`).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import msgspec
import yaml

from devloop import errors

UNSUPPORTED_CODE: Final = "DL0712"
_SECTIONS: Final = ("clusters", "contexts", "users")
# Kubeconfigs of many hundred clusters have a few megabytes.
_MAX_FILE_BYTES: Final = 32 * 1024 * 1024

T = TypeVar("T")


class Cluster(msgspec.Struct, frozen=True, rename="kebab"):
    """A `cluster` entry, by the keys of client-go's `clientcmd/api/v1`."""

    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    extensions: list[dict[str, Any]] = []


class Variable(msgspec.Struct, frozen=True):
    """An environment variable of a plugin."""

    name: str
    value: str = ""


class Plugin(msgspec.Struct, frozen=True, rename="camel"):
    """The `exec` of a user: a program that gives credentials."""

    command: str
    api_version: str
    args: list[str] = []
    env: list[Variable] = []
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = "IfAvailable"


class AuthProvider(msgspec.Struct, frozen=True):
    """The older way of getting tokens, inside of the client."""

    name: str
    config: dict[str, Any] = {}


class User(msgspec.Struct, frozen=True, rename="kebab"):
    """A `user` entry. Holds secrets: never print one."""

    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(name="tokenFile", default="")
    username: str = ""
    password: str = ""
    exec: Plugin | None = None
    auth_provider: AuthProvider | None = None
    impersonate: str = msgspec.field(name="as", default="")
    impersonate_uid: str = msgspec.field(name="as-uid", default="")
    impersonate_groups: list[str] = msgspec.field(name="as-groups", default_factory=list)
    impersonate_extra: dict[str, list[str]] = msgspec.field(name="as-user-extra", default_factory=dict)


class Context(msgspec.Struct, frozen=True):
    """A `context` entry."""

    cluster: str = ""
    user: str = ""
    namespace: str = ""


class Chosen(msgspec.Struct, frozen=True):
    """One context with all that it names.

    Attributes:
        name: The context's name.
        context: What it says.
        cluster: Its cluster.
        cluster_folder: What the cluster's relative paths are relative to.
        user: Its user; an empty one where it names none.
        user_folder: What the user's relative paths are relative to.
        files: The files that were read, in their order.
    """

    name: str
    context: Context
    cluster: Cluster
    cluster_folder: str
    user: User
    user_folder: str
    files: tuple[str, ...] = ()


class Merged(msgspec.Struct, frozen=True):
    """Several kubeconfig files as one.

    Attributes:
        current: The current context's name; may be empty.
        entries: By section and name: the folder of the file that it is from, and what is written there.
        files: The files that were read.
    """

    current: str
    entries: dict[str, dict[str, tuple[str, dict[str, Any]]]]
    files: tuple[str, ...]

    def choose(self, name: str = "") -> Chosen:
        """Return a context with its cluster and user.

        Args:
            name: The context; the current one where it is empty.

        Raises:
            KubeconfigError: There is none of this name, or it refers to what is not there.
        """
        name = name or self.current
        if not name:
            raise errors.KubeconfigError(
                "the kubeconfig has no current context",
                hint=f"name one with --context: {_listed(self.entries['contexts'])}",
            )
        _, context = self._get("contexts", "context", name, Context, "")
        folder, cluster = self._get("clusters", "cluster", context.cluster, Cluster, name)
        user_folder, user = folder, User()
        if context.user:
            user_folder, user = self._get("users", "user", context.user, User, name)
        return Chosen(name, context, cluster, folder, user, user_folder, self.files)

    def _get(self, section: str, key: str, name: str, kind: type[T], context: str) -> tuple[str, T]:
        found = self.entries[section].get(name)
        if found is None:
            where = f", which context {context} names" if context else ""
            raise errors.KubeconfigError(
                f"the kubeconfig has no {key} {name!r}{where}", hint=_near(name, self.entries[section], key)
            )
        folder, entry = found
        try:
            return folder, msgspec.convert(_without_nulls(entry.get(key) or {}), kind)
        except msgspec.ValidationError as error:
            raise errors.KubeconfigError(f"{key} {name!r} of the kubeconfig is not valid: {error}") from None


def read(files: Sequence[str], *, explicit: bool = False) -> Merged | None:
    """Read and merge kubeconfig files.

    Args:
        files: In order of precedence.
        explicit: The user named them outright, so that a missing one is an error; else it is passed over.

    Returns:
        None where no file exists.

    Raises:
        KubeconfigError: One cannot be read or is not a kubeconfig.
    """
    current, seen = "", []
    entries: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {section: {} for section in _SECTIONS}
    for file in files:
        document = _document(file, explicit)
        if document is None:
            continue
        seen.append(file)
        current = current or str(document.get("current-context") or "")
        folder = os.path.dirname(os.path.abspath(file))
        for section in _SECTIONS:
            for name, entry in _named(file, section, document.get(section) or []):
                entries[section].setdefault(name, (folder, entry))
    return Merged(current, entries, tuple(seen)) if seen else None


def _document(file: str, explicit: bool) -> dict[str, Any] | None:
    try:
        with open(file, "rb") as opened:
            text = opened.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        if explicit:
            raise errors.KubeconfigError(
                f"there is no kubeconfig {file}", hint="check --kubeconfig, or leave it out"
            ) from None
        return None
    except OSError as error:
        raise errors.KubeconfigError(f"the kubeconfig {file} cannot be read: {error.strerror}") from None
    if len(text) > _MAX_FILE_BYTES:
        raise errors.KubeconfigError(f"{file} is too large for a kubeconfig")
    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (a safe one)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise errors.KubeconfigError(f"the kubeconfig {file} is not YAML{place}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise errors.KubeconfigError(f"{file} is not a kubeconfig: it holds no mapping")
    return document


def _named(file: str, section: str, items: object) -> Iterable[tuple[str, dict[str, Any]]]:
    wrong = errors.KubeconfigError(f"the kubeconfig {file} is not valid: {section} must be a list of named entries")
    if not isinstance(items, list):
        raise wrong
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise wrong
        yield item["name"], item


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _near(name: str, known: Iterable[str], kind: str) -> str:
    near = difflib.get_close_matches(name, list(known), 3)
    return f"did you mean {' or '.join(near)}?" if near else f"known {kind}s: {_listed(known)}"


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - 8} more" if len(ordered) > 8 else ""
    return (", ".join(ordered[:8]) or "none") + more
