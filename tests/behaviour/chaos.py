"""What a developer, git and bad luck do to a project, and the judgement of what became of it.

`Chaos` does one random thing at a time, takes note of every version of every file that was ever on the laptop, and
judges the target whenever devloop says that it is in sync. `test_chaos` drives it with hypothesis.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import random
import shutil
import signal
import stat
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.behaviour import oracle, reader, world

SPECS = [
    oracle.SyncSpec("web", "/app", ("*.tmp",), "dist"),
    oracle.SyncSpec("lib", "/srv/lib"),
]

CONFIG = world.config('from: ./web, to: /app, ignore: ["*.tmp"], include: ["dist/**"]', "from: ./lib, to: /srv/lib")

SIZES = (0, 1, 7, 300, 4000, 70 * 1024, 260 * 1024)
LARGE = 3 * 1024 * 1024

NAMES = ("a.py", "b.py", "c.txt", "A.py", "data.bin", "run.sh", "x.ign", "y.log", "z.dev", "q.tmp", "w.loc", "n~", "ü")
ODD = (
    os.fsdecode(b"caf\xe9.txt"),
    os.fsdecode(b"\xff\xfe"),
    "with space",
    "new\nline",
    "-dash",
    "back\\slash",
    "e\u0301",
)
FOLDERS = ("d", "e", "D", "private", "out", "deep", "dist", "node_modules")

EMPTY = hashlib.sha256(b"").hexdigest()

SKIP = frozenset({".git", ".devloop"})

_IN_THE_WAY = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENOTEMPTY})

Stamp = tuple[int, int, int, int]


class Chaos:
    """A world under fire.

    Args:
        folder: Empty.
        rng: Where all decisions come from.
    """

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng = rng
        self.world = world.World(folder, CONFIG)
        self.hasher = oracle.Hasher()
        self.versions: dict[tuple[int, str], set[str]] = {}
        self.blobs: set[str] = {EMPTY}
        self.covered: list[set[str]] = [set() for _ in SPECS]
        self.planted: dict[tuple[int, str], oracle.Thing] = {}
        self.drifted: set[tuple[int, str, str]] = set()
        self.stamps: dict[str, Stamp] = {}
        self.done: Counter[str] = Counter()
        self.checks = 0
        self.branches = ["main"]
        self._count = 0
        self._immutable: list[Path] = []
        self.trace: list[str] = []
        self._make_project()
        self.reader = reader.Reader([self.target(number) for number in range(len(SPECS))])

    # ---- life -----------------------------------------------------------------------------------------------

    def _make_project(self) -> None:
        self.world.write(".gitignore", "*.ign\n*.log\nnode_modules/\n/web/out/\n")
        for number in range(30):
            self._put(f"web/f{number}.py", self._content(50))
            self._put(f"lib/g{number}.py", self._content(50))
        self._put("web/d/a.py", self._content(300))
        self._put("web/dist/built.js", self._content(300))
        self.world.init_git()
        self.note()

    def begin(self) -> None:
        """Start watching and reading."""
        self.world.start()
        self.reader.start()

    def end(self) -> None:
        """Judge once more, and stop everything."""
        try:
            self.check()
            self.world.stop()
            complaints = (self.world.folder / "stderr").read_text()
            assert not complaints, complaints
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Stop everything without a word."""
        self.reader.stop()
        self._thaw()
        if self.world.process is not None:
            self.world.kill_laptop()

    # ---- doing ----------------------------------------------------------------------------------------------

    def act(self, name: str, seed: int) -> None:
        """Do one thing.

        Args:
            name: One of `ACTIONS`.
            seed: Decides its details.
        """
        self.rng.seed(seed)
        if self.stamps:
            self._assert_untouched()
        self.trace.append(f"{name} {seed}")
        self.done[name] += 1
        self._about = ""
        try:
            ACTIONS[name](self)
        except OSError as error:
            # Something else is at the path that was chosen: that is part of the game.
            if error.errno not in _IN_THE_WAY:
                raise
        if self._about:
            self.trace[-1] += f": {self._about}"
        if name in _GIT_ACTIONS:
            self._note_blobs()
        self.note()

    def target(self, number: int) -> Path:
        """Return the folder in the target of one sync."""
        return self.world.target / SPECS[number].to.lstrip("/")

    def _content(self, size: int) -> bytes:
        self._count += 1
        return (b"%d\n" % self._count + self.rng.randbytes(min(size, 512)) * (size // 512 + 1))[:size]

    def _version(self, path: str, content: bytes) -> None:
        for number, spec in enumerate(SPECS):
            if path.startswith(spec.source + "/"):
                below = path[len(spec.source) + 1 :]
                self.versions.setdefault((number, below), set()).add(hashlib.sha256(content).hexdigest())

    def _put(self, path: str, content: bytes) -> None:
        """Write a file whole, as a version."""
        self._version(path, content)
        full = self.world.project / path
        full.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        try:
            os.write(fd, content)
        finally:
            os.close(fd)

    def _all(self, kinds: str) -> list[str]:
        """Return the project's paths of some kinds: `f`, `d`, `l`."""
        found = []
        for spec in SPECS:
            root = self.world.project / spec.source
            for path, thing in sorted(oracle.look(str(root), self.hasher).items()):
                if thing.kind in kinds:
                    found.append(f"{spec.source}/{path}")
        return found

    def _some(self, kinds: str, *, rules: bool = True) -> str:
        """Return a path of some kinds; with `rules=False` none of an ignore file, whose content must stay simple."""
        found = [path for path in self._all(kinds) if rules or not path.endswith("ignore")]
        if not found:
            raise FileNotFoundError(errno.ENOENT, "nothing of the kind")
        return self.rng.choice(found)

    def _fresh(self) -> str:
        """Return a path that may or may not be there."""
        rng = self.rng
        parts = [rng.choice(SPECS).source]
        if rng.random() < 0.05:
            parts += [f"level{level}" for level in range(rng.randrange(5, 25))]
        folders = self._all("d")
        if folders and rng.random() < 0.6:
            parts = [rng.choice(folders)]
        for _ in range(rng.choice((0, 0, 1, 2))):
            parts.append(rng.choice(FOLDERS))
        parts.append(rng.choice(ODD) if rng.random() < 0.1 else rng.choice(NAMES))
        self._about = "/".join(parts)
        return "/".join(parts)

    def _size(self) -> int:
        return LARGE if self.rng.random() < 0.04 else self.rng.choice(SIZES)

    # ---- edits ----------------------------------------------------------------------------------------------

    def new_file(self) -> None:
        self._put(self._fresh(), self._content(self._size()))

    def edit(self) -> None:
        path = self._about = self._some("f", rules=False)
        self._put(path, self._content(self._size()))

    def edit_same_size(self) -> None:
        """Several versions of one size within the same second."""
        path = self._about = self._some("f", rules=False)
        size = max(8, (self.world.project / path).lstat().st_size)
        for _ in range(self.rng.randrange(1, 4)):
            self._put(path, self._content(size))

    def edit_in_place(self) -> None:
        """Overwrite without truncation, and put the old modification time back."""
        path = self._about = self._some("f", rules=False)
        full = self.world.project / path
        info = full.lstat()
        content = self._content(info.st_size)
        self._version(path, content)
        fd = os.open(full, os.O_WRONLY)
        try:
            os.write(fd, content)
        finally:
            os.close(fd)
        os.utime(full, ns=(info.st_atime_ns, info.st_mtime_ns))

    def append(self) -> None:
        path = self._about = self._some("f", rules=False)
        full = self.world.project / path
        content = full.read_bytes()
        for _ in range(self.rng.randrange(1, 5)):
            more = self._content(self.rng.choice((1, 100, 5000)))
            content += more
            self._version(path, content)
            with full.open("ab", buffering=0) as stream:
                stream.write(more)

    def truncate(self) -> None:
        path = self._about = self._some("f", rules=False)
        full = self.world.project / path
        size = self.rng.randrange(0, full.lstat().st_size + 1)
        self._version(path, full.read_bytes()[:size])
        os.truncate(full, size)

    def editor_save(self) -> None:
        """Save as vim, as JetBrains, or as `sed -i` does."""
        path = self._about = self._some("f", rules=False)
        full, content = self.world.project / path, self._content(self.rng.choice(SIZES))
        self._version(path, content)
        how = self.rng.randrange(3)
        if how == 0:
            probe = full.with_name("4913")
            probe.write_bytes(b"")
            probe.unlink()
            full.rename(full.with_name(full.name + "~"))
            full.write_bytes(content)
            full.with_name(full.name + "~").unlink()
        elif how == 1:
            beside = full.with_name(full.name + "___jb_tmp___")
            beside.write_bytes(content)
            old = full.with_name(full.name + "___jb_old___")
            full.rename(old)
            beside.rename(full)
            old.unlink()
        else:
            beside = full.with_name("sedAbCdEf")
            self._version(path.rpartition("/")[0] + "/sedAbCdEf", content)
            beside.write_bytes(content)
            beside.rename(full)

    def rename_file(self) -> None:
        old, new = self._some("fl"), self._fresh()
        self._about = f"{old} -> {new}"
        (self.world.project / new).parent.mkdir(parents=True, exist_ok=True)
        (self.world.project / old).rename(self.world.project / new)

    def rename_over(self) -> None:
        old, new = self._some("fl", rules=False), self._some("fl", rules=False)
        self._about = f"{old} -> {new}"
        (self.world.project / old).replace(self.world.project / new)

    def rename_folder(self) -> None:
        old, new = self._some("d"), self._fresh()
        self._about = f"{old} -> {new}"
        if not (new + "/").startswith(old + "/"):
            (self.world.project / new).parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):
                (self.world.project / old).rename(self.world.project / new)

    def rename_case(self) -> None:
        path = self._about = self._some("fd")
        full = self.world.project / path
        other = full.with_name(full.name.swapcase())
        if not other.exists():
            full.rename(other)

    def swap_type(self) -> None:
        """File, folder and link take each other's places."""
        path = self._some("fdl", rules=False)
        self._about = path
        full = self.world.project / path
        self._remove(full)
        kind = self.rng.choice("fdl")
        self._about += " to " + kind
        if kind == "f":
            self._put(path, self._content(100))
        elif kind == "d":
            self._put(path + "/" + self.rng.choice(NAMES), self._content(100))
        else:
            full.symlink_to(self._link_target())

    def swap_folder_for_link(self) -> None:
        """A folder moves, and a link to it stands in its place."""
        path = self._some("d")
        full = self.world.project / path
        moved = full.with_name(full.name + "-moved")
        self._about = path
        if not moved.exists():
            full.rename(moved)
            full.symlink_to(moved.name)

    def _link_target(self) -> str:
        return self.rng.choice(["a.py", "d", "no-such-file", "./b.py"])

    def new_link(self) -> None:
        path = self.world.project / self._fresh()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(self._link_target())

    def delete(self) -> None:
        path = self._about = self._some("fl")
        (self.world.project / path).unlink()

    def delete_folder(self) -> None:
        path = self._about = self._some("d")
        shutil.rmtree(self.world.project / path)

    def delete_many(self) -> None:
        found = self._all("fl")
        for path in self.rng.sample(found, int(len(found) * self.rng.uniform(0.2, 0.7))):
            (self.world.project / path).unlink()

    def new_many(self) -> None:
        """A burst of files."""
        folder = self._fresh() + ".many"
        self._about = folder
        for number in range(self.rng.choice((30, 100, 300))):
            self._put(f"{folder}/m{number}.py", self._content(40))

    def empty_folder(self) -> None:
        (self.world.project / self._fresh()).mkdir(parents=True, exist_ok=True)

    def executable(self) -> None:
        path = self._about = self._some("f")
        full = self.world.project / path
        full.chmod(stat.S_IMODE(full.lstat().st_mode) ^ 0o111)

    def _remove(self, full: Path) -> None:
        if full.is_dir() and not full.is_symlink():
            shutil.rmtree(full)
        else:
            full.unlink()

    # ---- ignoring -------------------------------------------------------------------------------------------

    def ignore_rules(self) -> None:
        lines = self.rng.sample(
            ["*.ign", "*.log", "node_modules/", "/web/out/", "e/", "*.bin", "!keep.log", "/lib/d", "c.txt", "D"],
            self.rng.randrange(2, 7),
        )
        self._about = " ".join(lines)
        self.world.write(".gitignore", "\n".join(lines) + "\n")

    def ignore_nested(self) -> None:
        folder = self.rng.choice([spec.source for spec in SPECS] + self._all("d"))
        self._about = folder
        path = self.world.project / folder / ".gitignore"
        if self.rng.random() < 0.3:
            path.unlink()
        else:
            lines = self.rng.sample(["*.py", "!a.py", "data.bin", "d/", "/b.py", "!*.log"], self.rng.randrange(1, 4))
            self._about += " " + " ".join(lines)
            self._put(f"{folder}/.gitignore", ("\n".join(lines) + "\n").encode())

    def ignore_ours(self) -> None:
        folder = self.rng.choice([spec.source for spec in SPECS] + self._all("d"))
        self._about = folder
        path = self.world.project / folder / ".devloopignore"
        if self.rng.random() < 0.3:
            path.unlink()
        else:
            lines = self.rng.sample(["*.dev", "*.loc", "private/", "/secret.txt", "e/", "/a.py"], 3)
            self._about += " " + " ".join(lines)
            self._put(f"{folder}/.devloopignore", ("\n".join(lines) + "\n").encode())

    def ignore_exclude(self) -> None:
        lines = self.rng.sample(["*.txt", "run.sh", "deep/", "# none"], 2)
        self._about = " ".join(lines)
        (self.world.project / ".git/info/exclude").write_text("\n".join(lines) + "\n")

    # ---- git ------------------------------------------------------------------------------------------------

    def git_add(self) -> None:
        path = self._about = self._some("fl")
        self.world.git("add", *(["-f"] if self.rng.random() < 0.5 else []), "--", path, ok=False)

    def git_untrack(self) -> None:
        path = self._about = self._some("fl")
        self.world.git("rm", "-q", "--cached", "--", path, ok=False)

    def git_commit(self) -> None:
        self.world.git("add", "-A", ok=False)
        self.world.git("commit", "-qm", "step", ok=False)

    def git_branch(self) -> None:
        """A new branch with many files that others do not have."""
        name = f"b{self._count}"
        self._count += 1
        self.git_commit()
        self.world.git("checkout", "-q", "-b", name)
        self.branches.append(name)
        for number in range(self.rng.choice((5, 60))):
            self._put(f"web/{name}/p{number}.py", self._content(80))
        self._put("web/f1.py", self._content(120))
        self.git_commit()

    def git_switch(self) -> None:
        if self.rng.random() < 0.7:
            self.git_commit()
        name = self._about = self.rng.choice(self.branches)
        self.world.git("checkout", "-q", *(["-f"] if self.rng.random() < 0.7 else []), name, ok=False)

    def git_merge(self) -> None:
        self.git_commit()
        name = self._about = self.rng.choice(self.branches)
        self.world.git("merge", "-q", "-X", "theirs", "--no-edit", name, ok=False)
        self.world.git("merge", "--abort", ok=False)

    def git_rebase(self) -> None:
        """A branch of three commits on another base."""
        self.git_commit()
        base = self.world.git("rev-parse", "HEAD").strip()
        self._put("lib/g0.py", self._content(100))
        self.git_commit()
        for number in range(3):
            self._put(f"web/f{10 + number}.py", self._content(100))
            self.git_commit()
        self.world.git("rebase", "-q", "-i", "--exec", "true", base + "~1", ok=False)
        if (self.world.project / ".git/rebase-merge").exists():
            self.world.git("rebase", "--abort", ok=False)

    def git_stash(self) -> None:
        self._put("web/f2.py", self._content(90))
        self._note_worktree()
        self.world.git("stash", "-q", *(["-u"] if self.rng.random() < 0.5 else []), ok=False)
        if self.rng.random() < 0.7:
            self.world.git("stash", "pop", "-q", ok=False)
            self.world.git("checkout", "-q", "-f", "HEAD", ok=False)

    def git_reset(self) -> None:
        self._note_worktree()
        where = self.rng.choice(["HEAD", "HEAD~1", self.rng.choice(self.branches)])
        self.world.git("reset", "-q", "--hard", where, ok=False)

    def git_orphan(self) -> None:
        """A branch without a commit, and back."""
        self.git_commit()
        for spec in SPECS:
            # What git does not know keeps the folder from being removed and made again, which would stop the sync.
            self._put(f"{spec.source}/stays.py", self._content(20))
        self.world.git("switch", "-q", "--orphan", f"o{self._count}", ok=False)
        # The configuration is tracked, and would be gone with the rest.
        self.world.write("devloop.yaml", CONFIG)
        self.world.git("add", "devloop.yaml")
        self._put("web/alone.py", self._content(20))
        self._put("lib/alone.py", self._content(20))
        if self.rng.random() < 0.5:
            self.world.git("checkout", "-q", "-f", "main", ok=False)
        else:
            self.world.write(".gitignore", "*.ign\n")

    def git_clean(self) -> None:
        self.world.git("clean", "-fdq", *(["-x"] if self.rng.random() < 0.3 else []), ok=False)

    def _note_worktree(self) -> None:
        self.note()

    def _note_blobs(self) -> None:
        """Remember every content that git may have put anywhere."""
        raw = oracle.git_bytes(
            self.world.project, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)"
        )
        names = [line.split()[1] for line in raw.decode().splitlines() if line.startswith("blob")]
        fresh = [name for name in names if name not in self.blobs]
        if not fresh:
            return
        out = oracle.git_bytes(self.world.project, "cat-file", "--batch", stdin="\n".join(fresh).encode())
        at = 0
        while at < len(out):
            end = out.index(b"\n", at)
            size = int(out[at:end].split()[2])
            self.blobs.add(hashlib.sha256(out[end + 1 : end + 1 + size]).hexdigest())
            at = end + 2 + size
        self.blobs.update(fresh)

    # ---- bad luck -------------------------------------------------------------------------------------------

    def kill_agent(self) -> None:
        self.world.signal_agent(signal.SIGKILL)

    def kill_laptop(self) -> None:
        """Kill the laptop's process; things go on while it is away, and sometimes it comes back at once."""
        self.world.kill_laptop()
        if self.rng.random() < 0.5:
            self.world.start(wait=False)

    def restart_laptop(self) -> None:
        if self.world.process is None:
            self.world.start(wait=False)
        elif self.rng.random() < 0.3 and self.world.client.alive():
            self.world.stop()

    def cut_link(self) -> None:
        self.world.tell("cut")

    def cut_link_later(self) -> None:
        self.world.tell(f"cut {self.rng.choice((1, 100, 3000, 100_000))}")

    def stall_link(self) -> None:
        self.world.tell(f"stall {self._stall_s():.2f}")

    def _stall_s(self) -> float:
        """Return how long something hangs; rarely so long that the link counts as dead."""
        return 12.0 if self.rng.random() < 0.05 else self.rng.uniform(0.1, 2.5)

    def stop_agent(self) -> None:
        """The agent's machine holds its breath."""
        pids = self.world.agent_pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        timer = threading.Timer(self._stall_s(), _continue, (pids,))
        timer.daemon = True
        timer.start()

    def overflow(self) -> None:
        """More events than inotify's queue of 16384 holds, while the laptop's process cannot read them."""
        process = self.world.process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGSTOP)
        try:
            full = self.world.project / "web" / "f3.py"
            if full.parent.is_dir() and not full.is_dir():
                for _ in range(9000):
                    # Two events of different kinds each, so that the kernel does not merge them.
                    os.close(os.open(full, os.O_WRONLY | os.O_CREAT, 0o644))
                    full.chmod(0o644)
            self.edit()
            self.new_file()
        finally:
            process.send_signal(signal.SIGCONT)

    def drift(self) -> None:
        """Somebody changes managed files in the target, and the laptop's next version wins."""
        number = self.rng.randrange(len(SPECS))
        root, source = self.target(number), self.world.project / SPECS[number].source
        found = [path for path, thing in sorted(oracle.look(str(root), self.hasher).items()) if thing.kind == "f"]
        found = [path for path in found if (source / path).is_file() and not (source / path).is_symlink()]
        found = [path for path in found if (number, path) not in self.planted and not path.endswith("ignore")]
        if not found:
            return
        path = self._about = self.rng.choice(found)
        content = self._content(64)
        digest = hashlib.sha256(content).hexdigest()
        self.versions.setdefault((number, path), set()).add(digest)
        self.drifted.add((number, path, digest))
        beside = self.world.folder / "beside"
        beside.write_bytes(content)
        with contextlib.suppress(OSError):
            beside.replace(root / path)
        self._put(f"{SPECS[number].source}/{path}", self._content(200))

    def plant_extra(self) -> None:
        """Somebody puts a file of their own in the target, protected or not."""
        number = self.rng.randrange(len(SPECS))
        folders = [
            "",
            *(p for p, t in sorted(oracle.look(str(self.target(number)), self.hasher).items()) if t.kind == "d"),
        ]
        folder = self.rng.choice(folders)
        name = self.rng.choice((f"planted{self._count}.dat", f"planted{self._count}.ign", f"planted{self._count}.pyc"))
        path = self._about = f"{folder}/{name}" if folder else name
        content = self._content(33)
        with contextlib.suppress(OSError):
            (self.target(number) / path).write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            self.planted[number, path] = oracle.Thing("f", digest)
            self.versions.setdefault((number, path), set()).update({digest, EMPTY})

    def freeze_target(self) -> None:
        """The target becomes read-only, until the next judgement or thaw."""
        root = self.target(self.rng.randrange(len(SPECS)))
        if _immutable(root, "+i"):
            self._immutable.append(root)

    def _thaw(self) -> None:
        for root in self._immutable:
            _immutable(root, "-i")
        self._immutable.clear()

    def pause(self) -> None:
        if self.world.process is not None and self.world.client.alive():
            self.world.ask("pause" if self.rng.random() < 0.5 else "resume")

    def ask_diff(self) -> None:
        if self.world.process is not None and self.world.client.alive():
            with contextlib.suppress(AssertionError):
                self.world.ask("diff")

    def flush_soon(self) -> None:
        if self.world.process is not None and self.world.client.alive():
            self.world.flush(0.05)

    def approve(self) -> None:
        if self.world.process is not None and self.world.client.alive():
            self.world.ask("approve")

    # ---- judging --------------------------------------------------------------------------------------------

    def note(self) -> None:
        """Take note of everything that is on the laptop now."""
        for number, spec in enumerate(SPECS):
            disk = oracle.look(str(self.world.project / spec.source), self.hasher)
            for path, thing in disk.items():
                if thing.kind == "f":
                    self.versions.setdefault((number, path), set()).add(thing.digest)
            self.covered[number] |= disk.keys() - oracle.shipped(self.world.project, spec, disk).keys()
        self.stamps = self._stamps()

    def _stamps(self) -> dict[str, Stamp]:
        found: dict[str, Stamp] = {}
        stack = [str(self.world.project)]
        while stack:
            with os.scandir(stack.pop()) as listing:
                for child in listing:
                    if child.name in SKIP:
                        continue
                    info = child.stat(follow_symlinks=False)
                    found[child.path] = (info.st_ino, info.st_mtime_ns, info.st_ctime_ns, info.st_size)
                    if child.is_dir(follow_symlinks=False):
                        stack.append(child.path)
        return found

    def _assert_untouched(self) -> None:
        now = self._stamps()
        changed = [path for path in sorted(now.keys() | self.stamps.keys()) if now.get(path) != self.stamps.get(path)]
        assert not changed, f"the laptop was written: {changed[:5]}"

    def check(self) -> None:
        """Wait until devloop says that it is in sync, and see whether it is true."""
        self._assert_untouched()
        self._thaw()
        for spec in SPECS:
            # git removes folders that it leaves empty; without it the sync would wait for it for ever.
            (self.world.project / spec.source).mkdir(exist_ok=True)
        self.note()
        if self.world.process is None or self.world.process.poll() is not None:
            self.world.start()
        world.until(lambda: self.world.client.alive() or self.world._ended(), "the control socket")
        self.world.ask("resume")
        state = self.world.settle()
        if state == "stopped":
            # A folder that was made again goes on by itself, as soon as it is watched.
            world.until(lambda: self.world.status()["state"] != "stopped" or self._is_emptied(), "a folder to go on")
            state = self.world.settle()
        if state == "stopped":
            # The chaos may empty a folder for good, and only a person can say that it is meant.
            self.world.ask("approve")
            state = self.world.settle()
        if state == "drifted":
            # Git put back what had been shipped: what somebody else wrote stays until the laptop changes it.
            assert self._change_drifted()
            state = self.world.settle()
        self.trace.append(f"check: {state}")
        assert state in {"in sync", "partial"}, (state, self.world.status(), self.world.complaints())
        problems = self.world.status()["problems"] if state == "partial" else []
        self._judge(problems)
        self._assert_untouched()
        self._judge_reads()
        self.checks += 1

    def _is_emptied(self) -> bool:
        """Say whether every sync that is stopped has nothing to ship."""
        stopped = [spec for sync, spec in zip(self.world.status()["syncs"], SPECS, strict=True) if sync["stopped"]]
        disks = [(spec, oracle.look(str(self.world.project / spec.source), self.hasher)) for spec in stopped]
        return not any(oracle.shipped(self.world.project, spec, disk) for spec, disk in disks)

    def _change_drifted(self) -> bool:
        """Write a new version of every file that was changed in the target; say whether there was one."""
        any_found = False
        for number, spec in enumerate(SPECS):
            there = oracle.look(str(self.target(number)), self.hasher)
            here = oracle.look(str(self.world.project / spec.source), self.hasher)
            for path, thing in there.items():
                mine = here.get(path)
                if mine is None or mine.kind != "f" or mine.digest == thing.digest:
                    continue
                if (number, path, thing.digest) in self.drifted:
                    self._put(f"{spec.source}/{path}", self._content(99))
                    any_found = True
        self.note()
        return any_found

    def _judge(self, problems: list[dict[str, Any]]) -> None:
        wrong: list[str] = []
        excused = {row["path"] for row in problems}
        for number, spec in enumerate(SPECS):
            disk = oracle.look(str(self.world.project / spec.source), self.hasher)
            wanted = oracle.shipped(self.world.project, spec, disk)
            there = oracle.look(str(self.target(number)), self.hasher)
            mine = {path for at, path in self.planted if at == number}
            kept = mine | self.covered[number]
            for path in sorted(wanted.keys() | there.keys()):
                if wanted.get(path) == there.get(path) or any(_within(path, one) for one in excused):
                    continue
                if path not in wanted and (path in kept or _holds(path, kept & there.keys())):
                    continue
                wrong.append(f"{spec.to}/{path}: laptop {wanted.get(path)}, target {there.get(path)}")
            for (at, path), thing in list(self.planted.items()):
                if at == number and path not in wanted and there.get(path) != thing:
                    wrong.append(f"{spec.to}/{path}: planted {thing}, now {there.get(path)}")
            self.covered[number] -= wanted.keys()
        wrong += self._unjust(problems)
        assert not wrong, "\n".join(wrong[:15])

    def _unjust(self, problems: list[dict[str, Any]]) -> list[str]:
        """Return the problems that have no reason: only what is in the way of a path excuses it."""
        there = {path for number in range(len(SPECS)) for path in oracle.look(str(self.target(number)), self.hasher)}
        found = []
        for row in problems:
            name = row["path"]
            if row["reason"] != "in-the-way" or not any(_within(p, name) or _within(name, p) for p in there):
                found.append(f"no reason for {row}")
        return found

    def _judge_reads(self) -> None:
        assert not self.reader.torn, self.reader.torn
        wrong = []
        for number, path, digest in self.reader.take():
            if digest not in self.versions.get((number, path), ()) and digest not in self.blobs:
                wrong.append(f"{SPECS[number].to}/{path}: read {digest}, which was never written")
        assert not wrong, "\n".join(wrong[:5])


def _within(path: str, above: str) -> bool:
    return path == above or path.startswith(above + "/")


def _holds(folder: str, kept: set[str]) -> bool:
    return any(path.startswith(folder + "/") for path in kept)


def _continue(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _immutable(folder: Path, how: str) -> bool:
    """Make a folder immutable or not, where this user and file system may."""
    if os.geteuid() != 0 or shutil.which("chattr") is None or not folder.is_dir():
        return False
    return subprocess.run(["chattr", how, str(folder)], capture_output=True).returncode == 0


_EDITS = (
    "new_file new_file edit edit edit edit_same_size edit_in_place append truncate editor_save rename_file rename_over "
    "rename_folder rename_case swap_type swap_folder_for_link new_link delete delete_folder delete_many new_many "
    "empty_folder executable ignore_rules ignore_nested ignore_ours ignore_exclude"
)
_GIT = (
    "git_add git_untrack git_commit git_branch git_switch git_merge git_rebase git_stash git_reset git_clean git_orphan"
)
_LUCK = (
    "kill_agent kill_laptop restart_laptop cut_link cut_link_later stall_link stop_agent overflow drift plant_extra "
    "freeze_target pause ask_diff flush_soon approve"
)

_GIT_ACTIONS = frozenset(_GIT.split())

EDITS = tuple(_EDITS.split())
GIT = tuple(_GIT.split())
LUCK = tuple(_LUCK.split())

ACTIONS: dict[str, Callable[[Chaos], None]] = {name: getattr(Chaos, name) for name in (*EDITS, *GIT, *LUCK)}
