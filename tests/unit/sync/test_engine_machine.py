"""The engine against a model laptop and model agents: whatever happens, the trees become equal and no rule breaks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from devloop.core import entry, tree
from devloop.sync import dispatch, planner
from tests.unit.sync import model_agent, world

NAMES = ("a", "b", "c", "a/x", "a/y", "b/x", "a/x/k", "c/z")
TOPS = ("a", "b", "c", "m")
REPLICAS = ("pod-1", "pod-2")
MASS = tuple(f"m/{number}" for number in range(planner.HOLD_FLOOR + 5))


def version(number: int) -> entry.Entry:
    """Return one of a few files: the empty one, small ones, and one that travels alone."""
    size = (0, 1, 10, planner.BULK_FILE_BYTES)[number % 4]
    return entry.file(hashlib.sha256(b"%d" % number).digest(), size, executable=number % 5 == 0)


ENTRIES = st.one_of(
    st.integers(0, 11).map(version), st.just(entry.folder()), st.sampled_from([b"x", b"../b"]).map(entry.link)
)
PATHS = st.sampled_from(NAMES)
SELDOM = st.sampled_from([False, False, False, True])
ROOTS = st.integers(0, 1)


def _is_up(link: world.Link) -> bool:
    return link.up


def _is_down(link: world.Link) -> bool:
    return not link.up


def _is_sending(link: world.Link) -> bool:
    return bool(link.sending)


def _has_acks(link: world.Link) -> bool:
    return bool(link.acks)


def _is_asked(link: world.Link) -> bool:
    return bool(link.questions)


def _has_answers(link: world.Link) -> bool:
    return bool(link.answers)


class EngineMachine(stateful.RuleBasedStateMachine):
    """Random life of a service."""

    @stateful.initialize(
        roots=st.integers(1, 2),
        extra=st.sampled_from([(False, False), (False, False), (True, False)]),
        pods=st.integers(1, 2),
        filled=st.sampled_from([(), ("b", "a/x"), (*NAMES, *MASS), (*NAMES, *MASS)]),
        listed=st.booleans(),
        settled=st.sampled_from([True, True, False]),
    )
    def begin(
        self, roots: int, extra: tuple[bool, bool], pods: int, filled: tuple[str, ...], listed: bool, settled: bool
    ) -> None:
        self.world = world.World(roots, extra)
        for name in REPLICAS[:pods]:
            self.world.links[name] = world.Link(model_agent.ModelAgent(name, roots))
        for number, path in enumerate(filled):
            self.world.folders[number % roots if path in NAMES else 0].put(path, version(number % 8))
        if listed:
            self.world.list_in_git(0)
        if settled:
            self.world.settle()
            self.world.now_s += 60

    # ---- the laptop's disk ------------------------------------------------------------------------------------------

    def _root(self, number: int) -> int:
        return number % len(self.world.folders)

    def _saved(self, root: int, scanned: bool) -> None:
        if scanned:
            self.world.scan(self._root(root))

    @stateful.rule(root=ROOTS, path=PATHS, there=ENTRIES, scanned=st.booleans())
    def write(self, root: int, path: str, there: entry.Entry, scanned: bool) -> None:
        self.world.folders[self._root(root)].put(path, there)
        self._saved(root, scanned)

    @stateful.rule(root=ROOTS, path=PATHS, scanned=st.booleans())
    def delete(self, root: int, path: str, scanned: bool) -> None:
        self.world.folders[self._root(root)].remove(path)
        self._saved(root, scanned)

    @stateful.rule(root=ROOTS, number=st.integers(0, 11))
    def write_many(self, root: int, number: int) -> None:
        for path in MASS:
            self.world.folders[self._root(root)].put(path, version(number))

    @stateful.rule(root=ROOTS, start=st.integers(0, 10), count=st.integers(1, len(MASS)), scanned=st.booleans())
    def delete_many(self, root: int, start: int, count: int, scanned: bool) -> None:
        for path in MASS[start : start + count]:
            self.world.folders[self._root(root)].remove(path)
        self._saved(root, scanned)

    @stateful.rule(root=ROOTS, swap=st.none() | st.integers(0, 7), scanned=st.booleans())
    def delete_all_many(self, root: int, swap: int | None, scanned: bool) -> None:
        self.world.folders[self._root(root)].remove("m")
        if swap is not None:
            self.world.folders[self._root(root)].put("m", version(swap))
        self._saved(root, scanned)

    @stateful.rule(root=ROOTS, path=st.sampled_from([*NAMES, "m", "m/1"]))
    def flip_ignored(self, root: int, path: str) -> None:
        self.world.folders[self._root(root)].ignored ^= {path}

    @stateful.rule(root=ROOTS)
    def commit_to_git(self, root: int) -> None:
        self.world.list_in_git(self._root(root))

    @stateful.rule(root=ROOTS, number=st.integers(0, 11), kept=st.sets(PATHS), mass=st.booleans())
    def switch_branch(self, root: int, number: int, kept: set[str], mass: bool) -> None:
        folder = self.world.folders[self._root(root)]
        before = set(folder.visible())
        for path in NAMES:
            if path not in kept:
                folder.remove(path)
        for path in kept:
            folder.put(path, version(number))
        if mass:
            folder.remove("m")
        folder.by_git |= {path for path in before if path not in folder.disk}
        self.world.list_in_git(self._root(root))
        self.world.scan(self._root(root), git=True)

    # ---- the laptop's process ---------------------------------------------------------------------------------------

    @stateful.rule(root=ROOTS)
    def scan(self, root: int) -> None:
        self.world.scan(self._root(root))

    @stateful.rule(root=ROOTS, tops=st.sets(st.sampled_from(TOPS), min_size=1))
    def scan_part(self, root: int, tops: set[str]) -> None:
        self.world.scan_part(self._root(root), tops)

    @stateful.rule(root=ROOTS, tops=st.sets(st.sampled_from(TOPS), min_size=1))
    def scan_some(self, root: int, tops: set[str]) -> None:
        self.world.scan(self._root(root), tops)

    @stateful.rule(seconds=st.sampled_from([0.01, 1.0, 6.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.world.now_s += seconds

    @stateful.precondition(lambda self: hasattr(self, "world") and self.world.rescans)
    @stateful.rule()
    def rescan(self) -> None:
        self.world.rescan()

    @stateful.rule(root=ROOTS, stop=SELDOM)
    def stop_or_trust(self, root: int, stop: bool) -> None:
        root = self._root(root)
        if self.world.engine.sources[root].stopped:
            self.world.run(self.world.engine.trusted(root, self.world.now_s))
        elif stop:
            self.world.run(self.world.engine.stopped(root, "unmounted"))

    @stateful.rule(pause=SELDOM)
    def pause_or_resume(self, pause: bool) -> None:
        if self.world.engine.paused:
            self.world.run(self.world.engine.resume(self.world.now_s))
        elif pause:
            self.world.run(self.world.engine.pause())

    @stateful.rule()
    def approve(self) -> None:
        self.world.approve()

    @stateful.rule()
    def retry(self) -> None:
        self.world.run(self.world.engine.retry(self.world.now_s))

    @stateful.rule(really=SELDOM)
    def restart_laptop(self, really: bool) -> None:
        if really:
            self.world.restart_laptop()

    # ---- links and agents -------------------------------------------------------------------------------------------

    def _some_link(self, chosen: Callable[[world.Link], object]) -> bool:
        return hasattr(self, "world") and any(chosen(link) for link in self.world.links.values())

    def _draw(
        self, data: st.DataObject, chosen: Callable[[world.Link], object] = lambda link: True
    ) -> tuple[str, world.Link]:
        return data.draw(st.sampled_from([pair for pair in self.world.links.items() if chosen(pair[1])]))

    @stateful.precondition(lambda self: self._some_link(_is_down))
    @stateful.rule(data=st.data())
    def open(self, data: st.DataObject) -> None:
        self.world.open(self._draw(data, _is_down)[0])

    @stateful.precondition(lambda self: self._some_link(_is_up))
    @stateful.rule(data=st.data(), again=st.booleans())
    def cut(self, data: st.DataObject, again: bool) -> None:
        name, _ = self._draw(data, _is_up)
        self.world.close(name)
        if again:
            self.world.open(name)

    @stateful.rule(data=st.data(), really=SELDOM)
    def replace_pod(self, data: st.DataObject, really: bool) -> None:
        if not really:
            return
        name, _ = self._draw(data)
        self.world.remove(name)
        self.world.links[name] = world.Link(model_agent.ModelAgent(name, len(self.world.folders)))
        self.world.run(self.world.engine.expected(name))

    @stateful.precondition(lambda self: self._some_link(_is_down))
    @stateful.rule(
        data=st.data(),
        root=ROOTS,
        seeded=st.dictionaries(PATHS | st.sampled_from(MASS), ENTRIES, max_size=4),
        same=st.booleans(),
    )
    def come_back_other(self, data: st.DataObject, root: int, seeded: dict[str, entry.Entry], same: bool) -> None:
        """The volume is another one, empty or seeded from an image, perhaps with what the laptop has."""
        fresh = self._draw(data, _is_down)[1].agent.new_identity(self._root(root))
        for path, there in sorted(seeded.items()):
            fresh.write(path, there)
        if same:
            for path, there in self.world.folders[self._root(root)].disk.items():
                fresh.write(path, there)

    @stateful.rule(data=st.data(), root=ROOTS, path=PATHS, there=st.none() | ENTRIES)
    def change_behind_our_back(self, data: st.DataObject, root: int, path: str, there: entry.Entry | None) -> None:
        link = self._draw(data)[1]
        target = link.agent.roots[self._root(root)]
        link.drifted[self._root(root)] = 0
        if there is None:
            target.wipe(path)
        else:
            target.write(path, there)

    @stateful.rule(data=st.data(), root=ROOTS, path=st.sampled_from(("a/extra", "b/extra", "m/extra")))
    def leave_something_extra(self, data: st.DataObject, root: int, path: str) -> None:
        target = self._draw(data)[1].agent.roots[self._root(root)]
        if target.disk.get(path.split("/", maxsplit=1)[0]) == entry.FOLDER:
            target.disk[path] = version(1)

    @stateful.rule(data=st.data(), root=ROOTS, path=PATHS)
    def refuse_or_accept(self, data: st.DataObject, root: int, path: str) -> None:
        self._draw(data)[1].agent.roots[self._root(root)].refuses ^= {path}

    @stateful.precondition(lambda self: self._some_link(_is_sending))
    @stateful.rule(data=st.data())
    def transfer(self, data: st.DataObject) -> None:
        name, link = self._draw(data, _is_sending)
        self.world.transfer(name, data.draw(st.integers(0, len(link.sending) - 1)))

    @stateful.precondition(lambda self: self._some_link(_is_sending))
    @stateful.rule(
        data=st.data(), refused=st.sampled_from(["", "", "", "", "", "no space"]), unsteady=st.sets(PATHS, max_size=1)
    )
    def commit(self, data: st.DataObject, refused: str, unsteady: set[str]) -> None:
        name, link = self._draw(data, _is_sending)
        index = data.draw(st.integers(0, len(link.sending) - 1))
        self.world.transfer(name, index)
        self.world.commit(name, index, refused=refused, unsteady=unsteady)

    @stateful.precondition(lambda self: self._some_link(_has_acks))
    @stateful.rule(data=st.data())
    def deliver_ack(self, data: st.DataObject) -> None:
        self.world.deliver_ack(self._draw(data, _has_acks)[0])

    @stateful.precondition(lambda self: self._some_link(_is_asked))
    @stateful.rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        self.world.answer(self._draw(data, _is_asked)[0])

    @stateful.precondition(lambda self: self._some_link(_has_answers))
    @stateful.rule(data=st.data())
    def deliver_answer(self, data: st.DataObject) -> None:
        self.world.deliver_answer(self._draw(data, _has_answers)[0])

    @stateful.rule(steps=st.integers(1, 6))
    def go_on(self, steps: int) -> None:
        """Let a few things happen in the order in which they usually do."""
        for _ in range(steps):
            self.world.step(approving=False)

    @stateful.rule()
    def come_to_rest(self) -> None:
        self.world.settle()
        self.world.check_converged()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.come_to_rest()


# DEVLOOP_TEST_EXAMPLES makes the search longer than the suite can afford.
EngineMachine.TestCase.settings = hypothesis.settings(
    max_examples=int(os.environ.get("DEVLOOP_TEST_EXAMPLES", "250")),
    stateful_step_count=50,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(hypothesis.HealthCheck),
)
TestEngineMachine = EngineMachine.TestCase


@pytest.fixture(autouse=True)
def _no_surprises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "PART_OPS", 4)
    monkeypatch.setattr(tree, "equal_but_for", world.no_surprise)
