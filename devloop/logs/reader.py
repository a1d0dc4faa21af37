"""Reads the log of one container, across its restarts, cuts of the connection and the end of its pod.

The cursor says what is new; this says what to ask for next. A reading is believed only after a look at the pod: what
the API server answers is the log of the run that the kubelet knows, of the pod that has this name then. When another
run has begun, the rest of the one before is read first, as far as the node has it, then the new one from its beginning.

A stream that is silent is opened anew: older kubelets, such as 1.20's, may go on watching a file that was rotated away
(they watch the file, newer ones its folder: `ReadLogs`), and a dead connection looks the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import itertools
from typing import Final

from devloop import errors
from devloop.core import backoff
from devloop.kube import client, paths, podlogs, pods
from devloop.logs import cursor, lines, tracker, values

# After the last line a stream is opened anew after so long; each time that brings nothing, after twice as long.
SILENCE_S: Final = 5.0
LONGEST_SILENCE_S: Final = 60.0

# The same of a log that is read to its end: there something has to come.
ANSWER_S: Final = 30.0

# How often a container that does not run is looked at although nothing was told of it.
LOOK_S: Final = 30.0
# The same of one that should have a log and has none yet: its state runs ahead of the kubelet's.
SOON_S: Final = 1.0

# A pod's state runs behind its kubelet by no more than this: a stream that was opened a shorter time before another run
# is told of may be that other run's.
DOUBT_S: Final = 30.0

# Tries for what is read to its end: the rest of a run, a log that is not followed.
TRIES: Final = 6


class End(enum.Enum):
    """How a reading ended."""

    WHOLE = enum.auto()
    """By its end: there is no more, or the container ended."""
    SILENT = enum.auto()
    """Nothing came for long."""
    CUT = enum.auto()
    """The connection, the API server or the kubelet failed."""
    MOVED = enum.auto()
    """It was another run's, or another pod's; nothing of it was taken."""
    NOTHING = enum.auto()
    """There is no log yet, or not any more."""
    GONE = enum.auto()
    """The pod does not exist."""


class Reader:
    """Reads one container.

    Args:
        api: The connection.
        namespace: The pod's.
        origin: Which container.
        pod: What is known of its pod.
        put: Takes what was read; while it waits, nothing more is read.
        start: Where to begin.
        silence_s: See `SILENCE_S`.
    """

    def __init__(
        self,
        api: client.Client,
        namespace: str,
        origin: values.Origin,
        pod: tracker.Tracker,
        put: values.Put,
        start: values.Start,
        *,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._origin = origin
        self._pod = pod
        self._put = put
        self._start = start
        self._first_silence_s = self._silence_s = silence_s
        self._waits = backoff.delays()
        self._cursor = cursor.Cursor()
        self._run = 0
        self._hidden = False
        self._believes = False
        # Nothing of this run was read yet, and all of it is wanted.
        self._anew = False
        self._drained = False
        # The last stream came to its end by itself, so what comes next and is not known is another run's.
        self._ended = False
        self._trouble: errors.ClusterError | None = None
        self._ever = False

    async def once(self, *, previous: bool = False) -> None:
        """Read what there is and end.

        Args:
            previous: The run before the current one.

        Raises:
            ClusterError: It cannot be read.
        """
        state = self._state()
        self._run = max(0, (state.restarts if state else 0) - previous)
        # One name, one moment: nothing is gained by a look at the pod.
        self._believes = True
        end = End.NOTHING
        for wait_s in _waits_between_tries():
            end = await self._read(follow=False, previous=previous, tail=self._start.tail)
            if end not in {End.CUT, End.SILENT}:
                break
            await asyncio.sleep(wait_s)
        if end is End.WHOLE:
            return
        raise self._trouble or errors.UnreachableError(
            f"the log of {self._origin.pod}, container {self._origin.container}, does not come to its end",
            hint="the node may be overloaded; ask for less with --since or --tail",
        )

    async def follow(self) -> None:
        """Read on until the pod is gone and read to its end.

        Raises:
            ClusterError: The right is missing, or the credentials are not accepted, from the beginning.
        """
        await self._until_started()
        if self._start.tail is not None and not self._pod.gone:
            await self._begin_at_tail(self._start.tail)
        while True:
            state = self._state()
            if state is None or not state.container_id:
                if self._pod.gone:
                    return
                await self._pod.change(LOOK_S)
                continue
            if state.restarts > self._run:
                await self._next_run(state.restarts)
            if await self._is_over(await self._read(follow=True)):
                return

    # ---- what comes next --------------------------------------------------------------------------------------------

    async def _until_started(self) -> None:
        while not self._pod.gone:
            state = self._state()
            if state is not None and state.container_id:
                self._run = state.restarts
                return
            await self._pod.change(LOOK_S)

    async def _begin_at_tail(self, tail: int) -> None:
        """Read the last lines; of none that are wanted one all the same, so that it is known where to go on."""
        self._hidden = tail == 0
        for wait_s in self._waits:
            end = await self._read(follow=False, tail=max(tail, 1))
            if end in {End.WHOLE, End.GONE} or not self._cursor.is_fresh or self._pod.gone:
                break
            await (self._pod.change(SOON_S) if end is End.NOTHING else asyncio.sleep(wait_s))
        self._hidden = False

    async def _is_over(self, end: End) -> bool:
        """Do what a reading's end calls for; say whether there will be no other."""
        match end:
            case End.WHOLE:
                return await self._after_the_end()
            case End.GONE:
                self._pod.lose()
            case End.SILENT:
                self._silence_s = min(2 * self._silence_s, LONGEST_SILENCE_S)
            case End.NOTHING:
                gone = self._trouble is not None and self._trouble.error_code == podlogs.RECLAIMED_CODE
                await self._pod.change(LOOK_S if gone else SOON_S)
            case End.CUT:
                await asyncio.sleep(next(self._waits))
            case End.MOVED:
                pass
        if self._pod.gone and not self._drained and self._trouble is not None:
            await self._note("the pod is gone, and the end of its log could not be read", str(self._trouble))
        return self._pod.gone

    async def _after_the_end(self) -> bool:
        with contextlib.suppress(errors.ClusterError):
            await self._look()
        state = self._state()
        if self._pod.gone or state is None:
            return True
        if state.restarts != self._run:
            return False
        if state.phase is pods.Phase.RUNNING:
            # The stream ended and the container did not, or that is not known yet: then asking at once would bring the
            # next run's log under this one's number.
            await self._pod.change(max(SOON_S, next(self._waits)))
            return False
        # Now that it is known to have ended, all that it printed can be read.
        if await self._read(follow=False, last=True) is not End.WHOLE:
            await asyncio.sleep(next(self._waits))
            return False
        self._drained = True
        return await self._is_gone_before_it_changes(state)

    async def _is_gone_before_it_changes(self, state: pods.Container) -> bool:
        """Wait until a container that has ended is another; say whether its pod was gone first."""
        while not self._pod.gone and self._state() == state:
            await self._pod.change(LOOK_S)
        return self._pod.gone

    async def _next_run(self, run: int) -> None:
        """Read the rest of the run before, and go on with another."""
        missed = run - self._run - 1
        if missed:
            # The node has only the last of them, and nobody read the beginning of that.
            self._anew = True
            await self._note(
                f"restarted {run - self._run} times while nobody read: Kubernetes keeps the last run before this one"
            )
        if missed or not self._drained:
            self._run = run - 1
            await self._finish_previous()
        self._run, self._anew, self._drained = run, True, False

    async def _finish_previous(self) -> None:
        for wait_s in _waits_between_tries():
            end = await self._read(follow=False, previous=True, last=True)
            if end in {End.WHOLE, End.MOVED}:
                return
            if end in {End.NOTHING, End.GONE}:
                break
            await asyncio.sleep(wait_s)
        await self._note(
            "the end of the run before this one could not be read", str(self._trouble) if self._trouble else ""
        )

    # ---- one reading ------------------------------------------------------------------------------------------------

    async def _read(self, *, follow: bool, previous: bool = False, tail: int | None = None, last: bool = False) -> End:
        """Read once.

        Args:
            follow: Until the container ends.
            previous: The run before the one that the kubelet calls current.
            tail: Only so many lines.
            last: The container has ended, so a line without an end is whole.
        """
        splitter = lines.Splitter()
        ask = podlogs.Ask(
            namespace=self._namespace,
            pod=self._origin.pod,
            container=self._origin.container,
            follow=follow,
            previous=previous,
            since=self._since(),
            tail=tail if self._cursor.is_fresh else None,
        )
        silence_s = self._silence_s if follow else ANSWER_S
        proved = previous or self._believes
        doubtful_until_s = asyncio.get_running_loop().time() + DOUBT_S
        try:
            async with contextlib.aclosing(podlogs.read(self._api, ask, silence_s=silence_s)) as pieces:
                async for piece in pieces:
                    if piece is None:
                        return End.SILENT
                    if not proved and not await self._is_the_same():
                        return End.MOVED
                    proved = True
                    if follow and self._is_another(doubtful_until_s):
                        return End.MOVED
                    await self._deliver(splitter.feed(piece))
            if last or not follow:
                await self._deliver(splitter.finish())
        except errors.ClusterError as error:
            return self._failed(error)
        self._trouble, self._ever, self._ended = None, True, True
        return End.WHOLE

    def _since(self) -> str:
        if self._cursor.is_fresh:
            return self._start.since if not self._anew else ""
        if self._anew:
            self._cursor.restart()
            return ""
        return self._cursor.resume()

    async def _is_the_same(self) -> bool:
        """Say whether what has just been opened is the log of our pod's run."""
        try:
            await self._look()
        except errors.NotThereError:
            # It has gone since, and no other has its name, so it was ours.
            self._pod.lose()
            return True
        state = self._state()
        return not self._pod.gone and state is not None and state.restarts == self._run

    def _is_another(self, doubtful_until_s: float) -> bool:
        """Say whether what is being read may be the next run's; what was taken of it is known when that is read."""
        if asyncio.get_running_loop().time() > doubtful_until_s:
            return False
        state = self._state()
        return state is not None and state.restarts > self._run

    async def _look(self) -> None:
        """Look at the pod.

        Raises:
            ClusterError: It is gone, or cannot be looked at.
        """
        try:
            self._pod.update(await self._api.get(paths.of("v1", "pods", self._namespace, self._origin.pod)))
        except errors.NotThereError:
            self._pod.lose()
            raise

    async def _deliver(self, some: list[bytes]) -> None:
        fresh = self._cursor.take(some)
        if self._cursor.lost:
            self._cursor.lost = False
            if not self._drained and not self._ended:
                await self._note(
                    "lines may be missing here: the node rotated the log while it was not read",
                    "Kubernetes shows the newest file of a log only",
                )
        if not fresh:
            return
        self._silence_s, self._waits = self._first_silence_s, backoff.delays()
        self._anew, self._drained, self._ended = False, False, False
        self._ever, self._trouble = True, None
        if not self._hidden:
            await self._put(values.Batch(self._origin, self._run, fresh))

    def _failed(self, error: errors.ClusterError) -> End:
        """Say what a failure means.

        Raises:
            ClusterError: It will not pass by itself.
        """
        self._trouble = error
        if isinstance(error, errors.ForbiddenError | errors.CredentialsError) and not self._ever:
            raise error
        if error.error_code in {podlogs.NOT_STARTED_CODE, podlogs.NO_PREVIOUS_CODE, podlogs.RECLAIMED_CODE}:
            return End.NOTHING
        return End.GONE if isinstance(error, errors.NotThereError) and error.status == 404 else End.CUT

    async def _note(self, text: str, hint: str = "") -> None:
        await self._put(values.Note(self._origin, text, hint))

    def _state(self) -> pods.Container | None:
        return self._pod.container(self._origin.container)


def _waits_between_tries() -> list[float]:
    """Return how long to wait after each of as many tries as are made."""
    return list(itertools.islice(backoff.delays(), TRIES))
