"""What devloop asks git about the repository that a folder lies in.

Every answer comes from the user's own `git`, run without a shell, with a deadline, without optional locks and
without the variables that would point it at another repository. Paths come back relative to the folder that was
asked about, as the rest of the program has them. Nothing here writes to a repository.

A folder without a repository is an answer (`NoRepo`, with the reason); a repository that cannot be read is an
error (`GitError`), because an error is never "empty": devloop decides by these answers what it may delete.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import os
import re
import subprocess
from collections.abc import Iterable
from typing import Final

import msgspec

from devloop import errors
from devloop.core import matcher, paths

GIT_TIMEOUT_S: Final = 20.0
"""Listing 100,000 paths takes git a tenth of a second; a command that takes longer than this hangs."""

# What `git rev-parse --local-env-vars` lists (git 2.39), and what changes how git reads paths: set by a hook or an
# alias that devloop was started from, they would make git answer about another repository, or otherwise.
_FOREIGN_VARIABLES: Final = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_GLOB_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_LITERAL_PATHSPECS",
        "GIT_NAMESPACE",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
_SUBMODULE_MODE: Final = b"160000"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

Signature = tuple[int, int, int, int]
"""Modification and change time in ns, size, inode: different for every version of a file that is renamed into place."""


class GitError(errors.LocalError):
    """git could not answer a question that it must be able to answer."""

    code = "DL0320"


class Why(enum.StrEnum):
    """Why a folder has no repository that devloop can use."""

    NO_GIT = "no-git"
    NOT_A_REPOSITORY = "not-a-repository"
    OTHER_OWNER = "other-owner"
    FAILED = "failed"


class NoRepo(msgspec.Struct, frozen=True):
    """The answer for a folder without a usable repository.

    Attributes:
        why: The reason.
        detail: The reason for people.
        hint: What they can do about it; empty where nothing is wrong.
    """

    why: Why
    detail: str
    hint: str = ""


class GitRepo(msgspec.Struct, frozen=True):
    """A repository, seen from one folder in its work tree. Make it with `find`. All methods run git or stat.

    Attributes:
        folder: The folder that was asked about; absolute, without symlinks.
        top: The top level of the work tree; absolute.
        git_dir: The work tree's own git folder; absolute.
        common_dir: What all work trees of the repository share; absolute.
    """

    folder: str
    top: str
    git_dir: str
    common_dir: str

    @property
    def prefix(self) -> str:
        """The folder's path below the top level."""
        relative = os.path.relpath(self.folder, self.top)
        return "" if relative == os.curdir else relative

    @property
    def index_file(self) -> str:
        """The work tree's index; absolute."""
        return os.path.join(self.git_dir, "index")

    @property
    def info_exclude(self) -> str:
        """The repository's own ignore file; absolute. It need not exist."""
        return os.path.join(self.common_dir, "info", "exclude")

    def index(self) -> matcher.Index:
        """Return what the index lists below the folder; submodules as folders, not what is in them.

        Raises:
            GitError: The index cannot be read.
        """
        return _listing(self._ask("ls-files", "--stage", "-z"))

    def tracked(self) -> frozenset[str]:
        """Return the paths that the index lists below the folder, with those of its submodules' indexes.

        Raises:
            GitError: An index cannot be read.
        """
        index = self.index()
        return index.paths.union(*(_inside(name, repo.tracked()) for name, repo in self._checked_out(index.submodules)))

    def head_paths(self) -> frozenset[str]:
        """Return the paths of the last commit's tree below the folder, with those of its submodules' last commits.

        Raises:
            GitError: The commit cannot be read.
        """
        if self.head_commit() is None:
            return frozenset()
        listed = _listing(self._ask("ls-tree", "-r", "-z", "HEAD"))
        return listed.paths.union(
            *(_inside(name, repo.head_paths()) for name, repo in self._checked_out(listed.submodules))
        )

    def head_commit(self) -> str | None:
        """Return the id of the commit that is checked out, or None before the first one.

        Raises:
            GitError: HEAD cannot be read.
        """
        return self._ask("rev-parse", "--verify", "--quiet", "HEAD", empty_status=1).decode("ascii").strip() or None

    def deleted_between(self, old: str, new: str) -> frozenset[str]:
        """Return the paths below the folder that git deleted when HEAD moved; renames count as deletions.

        Args:
            old: A full commit id.
            new: A full commit id; empty where HEAD is now a branch without a commit, as `git switch --orphan` makes it.

        Raises:
            GitError: One of them is not a commit here, or HEAD is not such a branch.
        """
        for commit in (old, new) if new else (old,):
            if not _COMMIT.fullmatch(commit):
                raise GitError(f"not a full commit id: {commit!r}")
        if not new:
            return self._deleted_with_branch(old)
        return self._deleted(old, new)

    def _deleted_with_branch(self, old: str) -> frozenset[str]:
        """Return what git deleted with the last commit of HEAD's branch.

        A HEAD that seems to be without a commit may be one that was damaged or removed, and `git checkout --orphan`
        leaves every file: only what git took out of its index as well did it delete.
        """
        if self.head_commit() is not None:
            raise GitError("HEAD has a commit")
        nothing = self._ask("hash-object", "-t", "tree", os.devnull).decode("ascii").strip()
        return self._deleted(old, nothing) - self.index().paths

    def _deleted(self, old: str, new: str) -> frozenset[str]:
        flags = ("-r", "-z", "--raw", "--no-abbrev", "--no-renames", "--relative")
        # Lines `:MODE MODE ID ID STATUS`, each with its path in the next item (git-diff-tree(1), raw output format).
        items = _split(self._ask("diff-tree", *flags, old, new, "--"))
        found: set[str] = set()
        for line, raw in zip(items[::2], items[1::2], strict=True):
            path = os.fsdecode(raw)
            mode, new_mode, was, now, status = line.removeprefix(b":").split(b" ")
            if mode == _SUBMODULE_MODE:
                moved_to = now.decode("ascii") if new_mode == _SUBMODULE_MODE else ""
                # A submodule that cannot be asked vouches for nothing, and keeps nobody else from it.
                with contextlib.suppress(GitError):
                    found |= _inside(path, self._deleted_in_submodule(path, old, was.decode("ascii"), moved_to))
            elif status == b"D":
                found.add(path)
        return frozenset(found)

    def _deleted_in_submodule(self, name: str, old: str, was: str, now: str) -> frozenset[str]:
        """Return what git deleted inside a submodule, where it moved that along with HEAD (`--recurse-submodules`).

        Args:
            name: Its folder.
            old: The commit that HEAD was at.
            was: The submodule's commit there.
            now: The one that it is to be at now; empty where there is to be no submodule.
        """
        folder = os.path.join(self.folder, name)
        if os.path.lexists(os.path.join(folder, ".git")):
            repo = find(folder)
            # Without that option git leaves a submodule as it is until `git submodule update`.
            if not now or isinstance(repo, NoRepo) or repo.head_commit() != now:
                return frozenset()
            return repo.deleted_between(was, now)
        listed = _run(self._absorbed(name, old), "--git-dir=.", "ls-tree", "-r", "-z", "--name-only", was)
        if now or isinstance(listed, NoRepo) or listed[0]:
            return frozenset()
        return frozenset(map(os.fsdecode, _split(listed[1])))

    def _absorbed(self, name: str, commit: str) -> str:
        """Return where the repository of a submodule that was in a commit is kept, also once its folder is gone.

        Raises:
            GitError: The commit names no such submodule.
        """
        blob = ("--blob", f"{commit}:.gitmodules")
        path = os.fsencode(paths.join(self.prefix, name))
        for item in _split(self._ask("config", "-z", *blob, "--get-regexp", r"^submodule\..*\.path$", empty_status=1)):
            key, _, value = item.partition(b"\n")
            called = os.fsdecode(key.removeprefix(b"submodule.").removesuffix(b".path"))
            if value == path and ".." not in called.split("/"):
                return os.path.join(self.git_dir, "modules", called)
        raise GitError(f"{name} is no submodule in {commit}")

    def excludes_file(self) -> str | None:
        """Return the absolute path of the user's global ignore file, which need not exist; None if there is none.

        Raises:
            GitError: git's configuration cannot be read.
        """
        set_to = self._config("--type=path", "core.excludesFile")
        if set_to is not None:
            return os.path.join(self.top, set_to) if set_to else None
        home = os.environ.get("XDG_CONFIG_HOME") or _home(".config")
        return os.path.join(home, "git", "ignore") if home else None

    def ignorecase(self) -> bool:
        """Return `core.ignorecase`.

        Raises:
            GitError: git's configuration cannot be read.
        """
        return self._config("--type=bool", "core.ignorecase") == "true"

    def config_files(self) -> tuple[str, ...]:
        """Return the absolute paths of the configuration files of the repository and the user; they need not exist."""
        found = [os.path.join(self.common_dir, "config"), os.path.join(self.git_dir, "config.worktree")]
        if "GIT_CONFIG_GLOBAL" in os.environ:
            found.append(os.environ["GIT_CONFIG_GLOBAL"])
        else:
            xdg = os.environ.get("XDG_CONFIG_HOME") or _home(".config")
            found += [path for path in (_home(".gitconfig"), os.path.join(xdg, "git", "config") if xdg else "") if path]
        return tuple(found)

    def index_signature(self) -> Signature | None:
        """Return what changes whenever git replaces the index; None where there is no index."""
        return signature(self.index_file)

    def reads(self, *arguments: str) -> str | None:
        """Return what a command prints that only reads; None where it says no, such as for an unknown revision.

        Args:
            arguments: Of git, without options that are the reader's.
        """
        answer = _run(self.folder, *arguments)
        if isinstance(answer, NoRepo) or answer[0]:
            return None
        return os.fsdecode(answer[1])

    def _checked_out(self, submodules: Iterable[str]) -> Iterable[tuple[str, GitRepo]]:
        for name in submodules:
            folder = os.path.join(self.folder, name)
            if os.path.lexists(os.path.join(folder, ".git")):
                found = find(folder)
                if isinstance(found, NoRepo):
                    raise GitError(f"cannot read the submodule {name}: {found.detail}", hint=found.hint)
                yield name, found

    def _config(self, kind: str, name: str) -> str | None:
        """Return a setting, or None where it is not set."""
        raw = self._ask("config", "-z", kind, "--get", name, empty_status=1)
        return os.fsdecode(raw.removesuffix(b"\0")) if raw else None

    def _ask(self, *arguments: str, empty_status: int = 0) -> bytes:
        """Return what git prints; `empty_status` is the exit status that means nothing to print."""
        answer = _run(self.folder, *arguments)
        if isinstance(answer, NoRepo):
            raise GitError(f"git {arguments[0]} failed in {self.folder}: {answer.detail}", hint=answer.hint)
        status, out, complaint = answer
        if status == 0:
            return out
        if status == empty_status and not complaint:
            return b""
        raise GitError(f"git {arguments[0]} failed in {self.folder}: {complaint or f'exit status {status}'}")


def find(folder: str) -> GitRepo | NoRepo:
    """Return the repository whose work tree a folder lies in.

    Args:
        folder: An existing folder; a work tree of `git worktree` and a submodule count as themselves.

    Returns:
        The repository, or why there is none.
    """
    folder = os.path.realpath(folder)
    found: list[str] = []
    # one question at a time: a path may hold the newline that would separate them
    for question in ("--show-toplevel", "--absolute-git-dir", "--git-common-dir"):
        answer = _run(folder, "rev-parse", question)
        if isinstance(answer, NoRepo):
            return answer
        status, out, complaint = answer
        if status:
            return _no_repo(complaint)
        found.append(os.path.join(folder, os.fsdecode(out.removesuffix(b"\n"))))
    top, git_dir, common_dir = found
    return GitRepo(folder, os.path.realpath(top), os.path.realpath(git_dir), os.path.realpath(common_dir))


def vouched(deleted: frozenset[str], gone: frozenset[str]) -> frozenset[str]:
    """Return which of the paths that are gone a git operation deleted.

    Args:
        deleted: The files that it deleted; see `GitRepo.deleted_between`.
        gone: Files and folders.

    Returns:
        Those files, and the folders that git removed because nothing was left in them: git lists no folders, and one
        with anything else that is gone was not emptied by it alone.
    """
    files = deleted & gone
    emptied = {folder for path in files for folder in paths.ancestors(path)} & gone
    for path in gone - files - emptied:
        emptied.difference_update(paths.ancestors(path))
    return files | emptied


def globstar_after_prefix() -> bool:
    """Say whether the installed git reads `foo**/bar` in the way of versions before 2.52; true without a git.

    Source: the release notes of git 2.52 ("mistakenly makes foo**/bar match with foobar").
    """
    return _version(os.environ.get("PATH", "")) < (2, 52)


def signature(path: str) -> Signature | None:
    """Return what tells two versions of a file apart without reading it; None where nothing can be found out."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


@functools.lru_cache(maxsize=4)
def _version(_path: str) -> tuple[int, ...]:
    answer = _run(os.sep, "version")
    numbers = re.search(rb"(\d+)\.(\d+)", b"" if isinstance(answer, NoRepo) else answer[1])
    return tuple(int(number) for number in numbers.groups()) if numbers else ()


def _run(folder: str, *arguments: str) -> tuple[int, bytes, str] | NoRepo:
    """Return git's exit status, output and complaint, or why it could not be run."""
    # a file-system monitor would be started as a daemon by the first command that wants it
    command = ["git", "-c", "core.quotepath=off", "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return NoRepo(Why.FAILED, f"git {arguments[0]} did not answer within {GIT_TIMEOUT_S:.0f} s")
    except OSError as error:
        if os.path.isdir(folder) and isinstance(error, FileNotFoundError):
            return NoRepo(Why.NO_GIT, "git is not on PATH", "install git, so that devloop knows what is tracked")
        return NoRepo(Why.FAILED, f"git cannot be run in {folder}: {error.strerror or error}")
    return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace").strip()


def environment() -> dict[str, str]:
    """Return the environment for git: nothing that points it elsewhere, and nobody is asked for a password."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN_VARIABLES}
    # LC_ALL: the reasons of `_no_repo` are told apart by git's words
    return kept | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "LANGUAGE": ""}


def _no_repo(complaint: str) -> NoRepo:
    if "dubious ownership" in complaint or "unsafe repository" in complaint:
        command = re.search(r"git config --global --add safe\.directory .*", complaint)
        hint = f"run: {command.group().strip()}" if command else "see safe.directory in `git help config`"
        return NoRepo(Why.OTHER_OWNER, "the repository belongs to another user, so git refuses to read it", hint)
    if "not a git repository" in complaint or "must be run in a work tree" in complaint:
        return NoRepo(Why.NOT_A_REPOSITORY, "not in a git repository")
    return NoRepo(Why.FAILED, complaint or "git failed without a message")


def _listing(out: bytes) -> matcher.Index:
    """Return the paths of lines `MODE … TAB PATH`, as ls-files and ls-tree print them."""
    files: list[str] = []
    submodules: list[str] = []
    for line in _split(out):
        head, _, raw = line.partition(b"\t")
        (submodules if head.startswith(_SUBMODULE_MODE) else files).append(os.fsdecode(raw))
    return matcher.Index(frozenset(files), frozenset(submodules))


def _split(out: bytes) -> list[bytes]:
    """Return NUL-terminated items."""
    return out.split(b"\0")[:-1]


def _inside(folder: str, names: Iterable[str]) -> frozenset[str]:
    return frozenset(paths.join(folder, name) for name in names)


def _home(name: str) -> str:
    """Return the path of an entry of the user's home as git finds it, or an empty string where HOME is not set."""
    home = os.environ.get("HOME", "")
    return os.path.join(home, name) if home else ""
