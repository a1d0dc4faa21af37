"""`build:` a command on the laptop that runs before what it makes is sent.

While a build is wanted or running, the engine sends nothing; after a success everything that changed goes as one
batch. After a failure nothing is sent until a change makes a build succeed, so the app never gets half of an edit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from devloop.config import model
from devloop.core import patterns
from devloop.daemon import commandline
from devloop.sync import events


class Builder:
    """Runs a service's build.

    Args:
        spec: The service; it has a build.
        publish: Where events go.
    """

    def __init__(self, spec: model.Service, publish: Callable[[events.Event], None]) -> None:
        assert spec.build is not None
        self._build = spec.build
        self._cwd = spec.build.cwd or spec.sync[0].source
        self._when = patterns.Patterns(spec.build.when)
        self._publish = publish
        self._wake = asyncio.Event()
        self._wake.set()
        self.failed = False

    def touches(self, changed: Iterable[str]) -> bool:
        """Take up changed paths, relative to their sync's folder; say whether they call for a build."""
        if not any(self._when.match(path) for path in changed):
            return False
        self._wake.set()
        return True

    async def wanted(self) -> None:
        """Return when a build is called for."""
        await self._wake.wait()

    @property
    def is_wanted(self) -> bool:
        """A build is called for, again perhaps."""
        return self._wake.is_set()

    async def run(self) -> bool:
        """Build once; say whether it succeeded. What changes meanwhile calls for another."""
        self._wake.clear()
        outcome = await commandline.run("build", self._build.run, self._cwd, self._build.timeout_s, self._publish)
        self.failed = not outcome.ok
        return outcome.ok
