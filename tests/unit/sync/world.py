"""A laptop, agents and links around one engine, with every message held back until the test lets it go.

The world carries out the engine's commands as the daemon does, and checks after each of them what must always hold:
nothing is said to be in sync that is not, nothing foreign is deleted, no mass deletion goes unasked, and no command
refers to what is not there.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Collection, Iterable, Sequence

from devloop.core import entry, ops, problem, tree
from devloop.protocol import messages
from devloop.sync import commands, engine, ledger, planner
from tests.unit.sync import model_agent, model_laptop

_equal_but_for = tree.equal_but_for


def no_surprise(one: tree.Tree, other: tree.Tree, excused: Collection[str]) -> bool:
    """Stand in for `tree.equal_but_for`, which the engine asks when it has nothing left to do."""
    assert _equal_but_for(one, other, excused), f"a difference that nobody noted: {difference(dict(one), dict(other))}"
    return True


@dataclasses.dataclass
class Sending:
    """A batch on its way.

    Attributes:
        batch: It.
        unread: Ops whose bodies were not read yet.
        cancelled: Ops whose bodies do not come.
        failed: What had failed when it was sent: a retry may have begun since, and cannot overtake it.
    """

    batch: commands.Batch
    unread: set[int]
    failed: set[tuple[int, str]]
    cancelled: set[int] = dataclasses.field(default_factory=set)


@dataclasses.dataclass
class Link:
    """One replica's agent and everything between it and the engine.

    Attributes:
        agent: The target.
        up: The link is open.
        sending: Batches that were sent and not applied.
        acks: Acks that were not delivered.
        questions: Roots whose manifest was asked for.
        answers: Manifests that were taken and not delivered.
        vouched: Deletions that the user or git vouched for.
        unasked: When nobody vouched: time, and how many files.
        last_number: The last batch that was sent.
        in_parts: Its folders were empty when it was opened, and nothing was reloaded since.
        drifted: Roots that were changed behind devloop's back, and the batch whose ack tells, once there is one.
    """

    agent: model_agent.ModelAgent
    up: bool = False
    sending: deque[Sending] = dataclasses.field(default_factory=deque)
    acks: deque[tuple[messages.Ack, dict[tuple[int, str], problem.Problem]]] = dataclasses.field(default_factory=deque)
    questions: list[int] = dataclasses.field(default_factory=list)
    answers: list[tuple[int, list[tuple[str, entry.Entry, bool]], frozenset[str]]] = dataclasses.field(
        default_factory=list
    )
    vouched: set[tuple[int, str]] = dataclasses.field(default_factory=set)
    unasked: deque[tuple[float, int]] = dataclasses.field(default_factory=deque)
    last_number: int = 0
    in_parts: bool = False
    drifted: dict[int, int] = dataclasses.field(default_factory=dict)

    def is_quiet(self) -> bool:
        """Say whether nothing is on its way."""
        return not (self.sending or self.acks or self.questions or self.answers)


class World:
    """Everything around one engine.

    Args:
        roots: How many syncs the service has.
        delete_extra: For each of them: `extra: delete`.
    """

    def __init__(self, roots: int = 1, delete_extra: Sequence[bool] = (False, False)) -> None:
        self.now_s = 1000.0
        self.folders = [model_laptop.ModelFolder() for _ in range(roots)]
        self.delete_extra = list(delete_extra[:roots])
        self.ever_listed: list[set[str]] = [set() for _ in range(roots)]
        self.links: dict[str, Link] = {}
        self.baselines: dict[tuple[str, int, str], tree.Tree] = {}
        self.rescans: list[commands.Rescan] = []
        self.settled: list[commands.Settled] = []
        self.holds: list[commands.HoldChanged] = []
        self.started: set[str] = set()
        self.sends: list[commands.Send] = []
        self.distrusted: list[str] = []
        self._dropped: list[tuple[str, int, list[int]]] = []
        self.engine = self._new_engine()

    def _new_engine(self) -> engine.Engine:
        sources = [ledger.Source(delete_extra=flag) for flag in self.delete_extra]
        return engine.Engine(sources, lambda _: ())

    # ---- the laptop ---------------------------------------------------------------------------------------------

    def scan(self, root: int, tops: Iterable[str] | None = None, *, git: bool = False) -> None:
        """Scan a root, all of it or some top-level names, and tell the engine."""
        if self.engine.sources[root].stopped:
            return
        found = self.folders[root].scan(tops if self.engine.sources[root].scanned else None)
        for link in self.links.values():
            link.vouched -= {(root, path) for path in found.delta.put}
            link.vouched |= {(root, path) for path in found.approved}
        self.run(
            self.engine.scanned(root, found.delta, self.now_s, hidden=found.hidden, approved=found.approved, git=git)
        )

    def scan_part(self, root: int, tops: Iterable[str]) -> None:
        """Let the first scan of a root come to some top-level names, unless it is over."""
        source = self.engine.sources[root]
        if not (source.stopped or source.scanned):
            delta = self.folders[root].scan_part(tops)
            self.run(self.engine.growing(root, delta, self.now_s, began_s=self.now_s))

    def list_in_git(self, root: int) -> None:
        """Commit everything that is visible."""
        self.folders[root].listed = set(self.folders[root].visible())
        self.ever_listed[root] |= self.folders[root].listed

    def restart_laptop(self) -> None:
        """Kill the watching process and start another: only the baselines are left."""
        for name in self.links:
            self._drop(name)
        for folder in self.folders:
            folder.told = {}
            folder.by_git = set()
            folder.hidden = set()
        for link in self.links.values():
            # What was vouched for is forgotten with the process; so is the window of deletions.
            link.vouched.clear()
            link.unasked.clear()
            link.last_number = 0
        self.rescans.clear()
        self.started.clear()
        self.engine = self._new_engine()

    # ---- links --------------------------------------------------------------------------------------------------

    def open(self, name: str) -> None:
        """Open a replica's link."""
        link = self.links.setdefault(name, Link(model_agent.ModelAgent(name, len(self.folders))))
        assert not link.up
        link.up = True
        link.drifted.clear()
        roots = link.agent.hello()
        link.in_parts = all(state.empty and state.fresh for state in roots)
        stored = {
            root: found.copy()
            for root, state in enumerate(roots)
            if (found := self.baselines.get((name, root, state.tree_id))) is not None
        }
        self.run(self.engine.opened(name, roots, stored, self.now_s))

    def close(self, name: str) -> None:
        """Cut a replica's link: everything between is lost."""
        self._drop(name)
        self.run(self.engine.closed(name))

    def _drop(self, name: str) -> None:
        link = self.links[name]
        link.up = False
        link.sending.clear()
        link.acks.clear()
        link.questions.clear()
        link.answers.clear()

    def remove(self, name: str) -> None:
        """Take a replica away for good."""
        del self.links[name]
        self.run(self.engine.removed(name, self.now_s))

    def transfer(self, name: str, index: int = 0) -> None:
        """Read the bodies of one batch, and tell the engine of those that have changed."""
        sending = self.links[name].sending[index]
        changed = []
        for number in sorted(sending.unread):
            op = sending.batch.ops[number]
            if self.folders[op.root].disk.get(op.path) != op.entry:
                changed.append(number)
        sending.unread.clear()
        sending.cancelled.update(changed)
        if changed:
            self.run(self.engine.body_changed(name, sending.batch.number, changed, self.now_s))

    def commit(self, name: str, index: int = 0, *, refused: str = "", unsteady: Collection[str] = ()) -> None:
        """Let the agent apply one batch whose bodies have all come."""
        link = self.links[name]
        sending = link.sending[index]
        assert not sending.unread
        del link.sending[index]
        replica = self.engine.replicas[name]
        deletable = [None if self.delete_extra[root] else self.ever_listed[root] for root in range(len(self.folders))]
        ack, troubles = link.agent.apply(
            sending.batch, sending.cancelled, deletable=deletable, refused=refused, unsteady=unsteady
        )
        link.acks.append((ack, troubles))
        for (root, path), trouble in troubles.items():
            if trouble.reason is problem.Reason.IN_THE_WAY:
                self._check_blocked(replica, link.agent.roots[root], root, path, {*troubles, *sending.failed})
        for root in range(len(self.folders)):
            if root in link.drifted:
                link.drifted[root] = ack.batch
        self.check()

    def _check_blocked(
        self,
        replica: ledger.Replica,
        there: model_agent.ModelRoot,
        root: int,
        path: str,
        troubles: set[tuple[int, str]],
    ) -> None:
        """Check that what was in the way was there for a reason: not because a deletion was left out or came late."""
        known, failed = replica.known[root], {*replica.problems, *troubles}
        below = there.children(path)
        if below and not [
            child for child in below if child not in there.managed or child not in known or (root, child) in failed
        ]:
            raise AssertionError(f"{path} is sent before what is in its way is gone: {below}")

    def deliver_ack(self, name: str) -> None:
        """Deliver the oldest ack."""
        link = self.links[name]
        ack, troubles = link.acks.popleft()
        link.drifted = {root: batch for root, batch in link.drifted.items() if batch != ack.batch}
        self.run(self.engine.acked(name, ack, troubles, self.now_s))

    def answer(self, name: str) -> None:
        """Let the agent take the manifest that was asked for first."""
        link = self.links[name]
        root = link.questions.pop(0)
        folder = self.folders[root]
        rows = link.agent.roots[root].rows(folder.is_ignored)
        link.answers.append((root, rows, frozenset(folder.listed)))

    def deliver_answer(self, name: str) -> None:
        """Deliver the oldest manifest."""
        root, rows, listed = self.links[name].answers.pop(0)
        self.run(self.engine.manifest(name, root, rows, listed, self.now_s))

    def rescan(self) -> None:
        """Carry out the oldest rescan."""
        asked = self.rescans.pop(0)
        self.scan(asked.root)
        self.run(self.engine.rescanned(asked.root, asked.paths, self.now_s))

    # ---- the user -----------------------------------------------------------------------------------------------

    def approve(self) -> None:
        """Approve what is held."""
        for name, replica in self.engine.replicas.items():
            self.links[name].vouched.update(replica.held)
        self.run(self.engine.approve(self.now_s))

    # ---- commands -----------------------------------------------------------------------------------------------

    def run(self, found: Iterable[commands.Command]) -> None:
        """Carry out commands, then check what must always hold."""
        for command in found:
            self._do(command)
        self.check()
        while self._dropped:
            name, batch, indexes = self._dropped.pop(0)
            self.run(self.engine.body_changed(name, batch, indexes, self.now_s))
        while self.distrusted:
            self.close(self.distrusted.pop())

    def _do(self, command: commands.Command) -> None:
        match command:
            case commands.Send():
                self._send(command)
            case commands.CancelBodies():
                self._cancel(command)
            case commands.AskManifest(replica=name, root=root):
                assert self.links[name].up, "asks an agent that is not there"
                self.links[name].questions.append(root)
            case commands.ResetBaseline(replica=name, root=root, tree_id=tree_id):
                self.baselines[name, root, tree_id] = self.engine.replicas[name].known[root].copy()
            case commands.SaveBaseline(replica=name, root=root, delta=delta):
                key = (name, root, self.engine.replicas[name].tree_ids[root])
                self.baselines.setdefault(key, tree.Tree()).apply(delta)
            case commands.Distrust(replica=name):
                # Targets that are changed behind our back again and again look like this, too.
                self.distrusted.append(name)
            case commands.Rescan():
                self.rescans.append(command)
            case commands.StartApp(replica=name):
                self.started.add(name)
            case commands.HoldChanged():
                self.holds.append(command)
            case commands.Settled():
                self.settled.append(command)
            case _:
                raise AssertionError(f"an unknown command: {command}")

    def _send(self, command: commands.Send) -> None:
        link = self.links[command.replica]
        batch = command.batch
        assert link.up, "sends to an agent that is not there"
        assert batch.ops, "sends an empty batch"
        assert not self.engine.paused, "sends although paused"
        assert not any(self.engine.sources[op.root].stopped for op in batch.ops), "sends of a stopped sync"
        keys = [(op.root, op.path) for op in batch.ops]
        assert len(set(keys)) == len(keys), "names a path twice"
        assert batch.number > link.last_number, "does not number batches upwards"
        link.last_number = batch.number
        for op in batch.ops:
            hidden = op.path in self.folders[op.root].hidden
            assert op.action is not ops.Action.DELETE or not hidden, f"deletes {op.path}, which is only ignored"
        self._check_first(link, batch)
        self._check_deletions(link, self.engine.replicas[command.replica], batch)
        self.sends.append(command)
        unread = {index for index, op in enumerate(batch.ops) if op.body_bytes}
        link.sending.append(Sending(batch, unread, set(self.engine.replicas[command.replica].problems)))

    def _check_first(self, link: Link, batch: commands.Batch) -> None:
        """Check what may go before everything is known, and that the last batch of a first sync comes last."""
        if not all(source.scanned or source.stopped for source in self.engine.sources):
            assert link.in_parts, "sends before it knows what is in the target"
            assert all(op.action is ops.Action.PUT for op in batch.ops), "deletes what it has not looked for"
            assert not (batch.reload or batch.hooks), "reloads before everything is known"
        if link.in_parts and batch.reload:
            assert not (link.sending or link.acks), "reloads before everything is in its place"
            link.in_parts = False

    def _check_deletions(self, link: Link, replica: ledger.Replica, batch: commands.Batch) -> None:
        deleted = [
            op
            for op in batch.ops
            if op.action is ops.Action.DELETE
            and (op.root, op.path) not in link.vouched
            and (there := replica.known[op.root].get(op.path)) is not None
            and there.kind is entry.Kind.FILE
        ]
        while link.unasked and link.unasked[0][0] < self.now_s - ledger.DELETION_WINDOW_S:
            link.unasked.popleft()
        if not deleted:
            return
        link.unasked.append((self.now_s, len(deleted)))
        count = sum(number for _, number in link.unasked)
        managed = replica.managed_files() + count
        assert count < planner.HOLD_FLOOR or count <= managed * planner.HOLD_SHARE, "a mass deletion goes unasked"

    def _cancel(self, command: commands.CancelBodies) -> None:
        assert command.ops, "cancels nothing"
        assert command.batch in self.engine.replicas[command.replica].flights, "cancels an unknown batch"
        for sending in self.links[command.replica].sending:
            if sending.batch.number == command.batch:
                dropped = sending.unread & set(command.ops)
                sending.unread -= dropped
                sending.cancelled |= dropped
                if dropped:
                    self._dropped.append((command.replica, command.batch, sorted(dropped)))

    # ---- what must hold -----------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check that "in sync" is not said in vain."""
        if not self.engine.in_sync:
            return
        assert self.links
        for name, link in self.links.items():
            if name not in self.engine.replicas:
                continue
            assert link.up, f"in sync without {name}"
            for root, folder in enumerate(self.folders):
                if root in link.drifted:
                    continue
                there = dict(link.agent.roots[root].managed_tree())
                assert there == folder.told, f"in sync although {name} differs: {difference(there, folder.told)}"

    def settle(self) -> None:
        """Let everything happen that can: links opened, holds approved, nothing refused or paused any more."""
        for link in self.links.values():
            for refusing in link.agent.roots:
                refusing.refuses.clear()
        for root in range(len(self.folders)):
            if self.engine.sources[root].stopped:
                self.run(self.engine.trusted(root, self.now_s))
        if self.engine.paused:
            self.run(self.engine.resume(self.now_s))
        for name, link in self.links.items():
            if link.up and link.drifted:
                # Nothing else would tell the engine, and that is not its part.
                self.close(name)
            if not link.up:
                self.open(name)
        for root in range(len(self.folders)):
            self.scan(root)
        for _ in range(400):
            self.now_s += 0.1
            for name in [name for name, link in self.links.items() if not link.up]:
                self.open(name)
            if not self.step():
                return
        raise AssertionError("it never comes to rest")

    def step(self, *, approving: bool = True) -> bool:
        """Let one thing happen; False where nothing is left."""
        if self.rescans:
            self.rescan()
            return True
        for name, link in self.links.items():
            if link.sending:
                self.transfer(name)
                if link.sending:
                    self.commit(name)
                return True
            if link.acks:
                self.deliver_ack(name)
                return True
            if link.questions:
                self.answer(name)
                return True
            if link.answers:
                self.deliver_answer(name)
                return True
        if approving and any(replica.held for replica in self.engine.replicas.values()):
            self.approve()
            return True
        return False

    def check_converged(self) -> None:
        """Check that every agent has what the laptop has, apart from what is reported as a problem."""
        clean = True
        for name, link in self.links.items():
            replica = self.engine.replicas[name]
            assert link.is_quiet()
            for root, folder in enumerate(self.folders):
                excused = {path for at, path in replica.problems if at == root}
                clean = clean and not excused
                there = {
                    path: what for path, what in link.agent.roots[root].managed_tree().items() if path not in excused
                }
                wanted = {path: what for path, what in folder.visible().items() if path not in excused}
                assert there == wanted, f"{name} differs: {difference(there, wanted)}"
            assert not replica.held
        if self.links:
            assert self.engine.settled
            assert self.engine.in_sync == clean


def difference(there: dict[str, entry.Entry], wanted: dict[str, entry.Entry]) -> str:
    """Return how two trees differ, for people."""
    delta = tree.diff(there, wanted)
    return f"to put {sorted(delta.put)}, to delete {sorted(delta.gone)}"
