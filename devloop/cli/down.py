"""`devloop down`: end the sessions of this project, and prove that nothing of them is left in the cluster."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from devloop import errors
from devloop.cli import options, output, project

if TYPE_CHECKING:
    from devloop.config import load
    from devloop.inject import claims, ending, lease
    from devloop.kube import client

_HELP: Final = """\
End the sessions of this project: stop its watch, put patched workloads back as they were, and prove that nothing that
devloop made is left in the namespace. The claims of `persist:` are deleted too, unless --keep-volumes is given.

Works after a crash, and from any machine: everything is written down in the cluster. With --all it ends every session
of the namespace, whoever has it, and asks first. Exit status: 0, 3 if something could not be put back or looked at, 7
if a service that is meant belongs to somebody else.
"""


@click.command("down", cls=options.Verb, formats=("text", "json"), help=_HELP)
@click.argument("services", nargs=-1, metavar="[SERVICE]…", shell_complete=project.complete_services)
@click.option("--all", "everyone", is_flag=True, help="Every session of the namespace, whoever has it.")
@click.option("--evict", is_flag=True, help="Evict pods in which an ephemeral container of devloop stays.")
@click.option("--keep-volumes", "keep", is_flag=True, help="Keep the claims of `persist:` and what is in them.")
@click.option("--no-wait", is_flag=True, help="Do not wait until the old pods are gone.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options.pass_settings
def command(
    settings: options.Settings,
    services: tuple[str, ...],
    everyone: bool,
    evict: bool,
    keep: bool,
    no_wait: bool,
    yes: bool,
) -> int:
    """End the sessions."""
    if everyone and services:
        raise errors.UsageError("--all and services exclude each other", hint="keep one of them")
    loaded = _project(settings, everyone=everyone)
    if loaded is not None:
        project.check_services(loaded, services)
        if not services:
            _stop(settings)
    down = _Down(settings, loaded, services, everyone=everyone, evict=evict, keep=keep, wait=not no_wait)
    return asyncio.run(down.run(yes=yes))


def _project(settings: options.Settings, *, everyone: bool) -> load.Project | None:
    """Return the project; with --all there need not be one."""
    try:
        return project.loaded(settings)
    except errors.ConfigError:
        if everyone and not settings.file:
            return None
        raise


def _stop(settings: options.Settings) -> None:
    """End the watching process of this project, where one runs: it would go on syncing to pods that go."""
    from devloop.cli import stop
    from devloop.state import dirs, lock

    folder = project.find(settings).file.rpartition("/")[0]
    if lock.holder(dirs.project(folder).lock) is not None:
        stop.end(settings, force=False)


class _Down:
    """One run of the verb."""

    def __init__(
        self,
        settings: options.Settings,
        loaded: load.Project | None,
        names: tuple[str, ...],
        *,
        everyone: bool,
        evict: bool,
        keep: bool,
        wait: bool,
    ) -> None:
        self._settings = settings
        self._loaded = loaded
        self._names = names
        self._everyone = everyone
        self._evict = evict
        self._keep = keep
        self._kept: list[str] = []
        self._theirs: list[str] = []
        self._wait = wait
        self._done: list[str] = []
        self._problems: list[dict[str, str]] = []

    async def run(self, *, yes: bool) -> int:
        """Do it, and return the exit status."""
        from devloop.cli import clustered
        from devloop.inject import ending, leasing

        async with clustered.connection(self._settings, self._loaded) as api:
            namespace = api.namespace
            me = await leasing.whoami(api)
            wanted = self._workloads()
            found = await ending.survey(api, namespace, wanted, me, everyone=self._everyone)
            claimed = await self._claimed(api)
            if self._everyone and not yes:
                self._ask(found, claimed, namespace)
            for error in await ending.end(api, namespace, found, self._say):
                self._trouble(error.message, error.hint)
            await self._sessions(api)
            if self._wait:
                for name in await ending.settle(api, namespace, found):
                    self._say(f"pod {name} still has the agent; it goes with the rollout")
            await self._claims(api, found, claimed, wanted, me)
            held = self._tell_others(found, wanted)
            await self._attached(api, found)
            proof = await ending.prove(api, namespace)
        return self._finish(found, proof, namespace, held=held)

    def _workloads(self) -> list[str]:
        if self._loaded is None:
            return []
        services = self._loaded.config.services
        named = [services[name] for name in self._names] if self._names else services.values()
        return [str(each.workload) for each in named if each.workload is not None]

    async def _sessions(self, api: client.Client) -> None:
        """End the sessions that pods were injected for at admission, where the cluster knows such."""
        from devloop.inject import sessions
        from devloop.kube import eviction, workloads
        from devloop.podspec import devsession
        from devloop.state import identity

        references = [workloads.parse(each) for each in self._workloads()] if not self._everyone else []
        meant = [devsession.Workload(each.kind.name, each.name) for each in references]
        if self._loaded is not None and not meant and not self._everyone:
            return
        try:
            ended = await sessions.end_sessions(api, api.namespace, identity.owner(), meant, everyone=self._everyone)
            if self._wait:
                await sessions.until_gone(
                    api, api.namespace, [each.pod for each in ended.evictions if each.end is eviction.End.EVICTED]
                )
        except errors.ClusterError as error:
            self._trouble(error.message, error.hint)
            return
        for name in ended.sessions:
            self._say(f"session {name} is ended; its pods are evicted and come again as their manifests say")
        for evicted in ended.evictions:
            if evicted.end is eviction.End.FORBIDDEN_NOW:
                self._trouble(f"pod {evicted.pod} keeps the agent: {evicted.message}", "run `devloop down` again later")
        for other in ended.others:
            self._say(f"session {other} stays; `devloop down --all` ends that as well")

    async def _claimed(self, api: client.Client) -> list[claims.Claim]:
        """Return the claims of `persist:` that are there."""
        from devloop.inject import claims

        try:
            return await claims.every(api, api.namespace)
        except errors.ForbiddenError:
            # Without this right none can have been made; the proof names it.
            return []

    async def _claims(
        self,
        api: client.Client,
        found: ending.Survey,
        there: list[claims.Claim],
        wanted: list[str],
        me: lease.Owner,
    ) -> None:
        """Delete the claims of `persist:`, after the pods that use them went, or say that they are kept."""
        from devloop.inject import claims
        from devloop.kube import workloads

        meant = [str(workloads.parse(each)) for each in wanted]
        ended = {each.session for each in found.leases}
        going, others = claims.to_delete(there, meant, me, ended, everyone=self._everyone)
        self._theirs = [each.name for each in others]
        if self._keep:
            self._kept = [each.name for each in going]
            for name in self._kept:
                self._say(f"the claim {name} is kept, with what is in it; `devloop down` deletes it")
            return
        try:
            for each in going:
                await claims.delete(api, api.namespace, each)
                self._say(f"the claim {each.name} is deleted, with what was kept in it (--keep-volumes keeps it)")
            if self._wait:
                for name in await claims.until_gone(api, api.namespace, going):
                    self._say(f"the claim {name} goes when no pod uses it any more")
        except errors.ClusterError as error:
            self._trouble(error.message, error.hint)

    def _ask(self, found: ending.Survey, claimed: list[claims.Claim], namespace: str) -> None:
        sessions = [f"{each.workload} ({each.owner.name})" for each in found.leases]
        volumes = [f"{each.name} ({each.owner or 'nobody known'})" for each in claimed if not self._keep]
        what = [f"end {len(sessions)} sessions in {namespace}: {', '.join(sessions)}"] if sessions else []
        what += [f"delete {len(volumes)} claims with what is in them: {', '.join(volumes)}"] if volumes else []
        if not what:
            return
        if not sys.stdin.isatty():
            raise errors.UsageError(f"--all would {'; and '.join(what)}", hint="confirm with --yes")
        if not click.confirm(f"This will {'; and '.join(what)}. Go on?", err=True):
            raise errors.UsageError("nothing was ended")

    def _tell_others(self, found: ending.Survey, wanted: list[str]) -> bool:
        """Name the sessions that stay; say whether one of them is on a workload that was meant."""
        from devloop.inject import leasing

        for problem in found.problems:
            self._trouble(problem, "")
        for workload in found.declared:
            self._say(f"{workload} has the agent by its own manifests; that stays")
        for each in found.others:
            self._say(f"{each.workload} is held by {each.owner}; `devloop down --all` ends that as well")
        return bool(leasing.of_workloads(found.others, wanted))

    async def _attached(self, api: client.Client, found: ending.Survey) -> None:
        from devloop.inject import ending

        for each in found.attached:
            listed = ", ".join(each.containers)
            if not self._evict:
                self._say(
                    f"pod {each.pod.name} keeps the ephemeral container {listed} until it goes (--evict evicts it)"
                )
                continue
            try:
                await ending.evict(api, api.namespace, each)
            except errors.ClusterError as error:
                self._trouble(error.message, error.hint)
            else:
                self._say(f"pod {each.pod.name} is evicted, and with it {listed}")

    def _finish(self, found: ending.Survey, proof: ending.Proof, namespace: str, *, held: bool) -> int:
        theirs = {f"leases/{each.name}" for each in found.others}
        theirs |= {f"persistentvolumeclaims/{each}" for each in (*self._theirs, *self._kept)}
        left = [each for each in proof.left if each not in theirs]
        for each in proof.unseen:
            self._trouble(f"could not be looked at: {each}", "")
        looked = ", ".join(proof.looked)
        if not proof.left and proof.looked:
            self._say(f"nothing labelled devloop.dev/session is left in namespace {namespace} (looked at {looked})")
        elif left:
            self._trouble(f"still in namespace {namespace}: {', '.join(left)}", "the lines above say why")
        status = errors.Exit.OK
        if self._problems or left:
            status = errors.Exit.PARTIAL
        elif held:
            status = errors.Exit.OWNED
        result: dict[str, Any] = {
            "namespace": namespace,
            "ended": [each.workload for each in found.leases],
            "done": self._done,
            "problems": self._problems,
            "kept": self._kept,
            "left": list(proof.left),
            "looked": list(proof.looked),
        }
        if self._settings.output == "json":
            output.result(self._settings, result)
        return int(status)

    def _say(self, line: str) -> None:
        self._done.append(line)
        output.human(self._settings, output.clean(f"devloop: {line}"))

    def _trouble(self, message: str, hint: str) -> None:
        self._problems.append({"message": message, "hint": hint})
        more = f"; {hint}" if hint else ""
        output.human(self._settings, output.clean(f"devloop: {message}{more}"), verbosity=-1)
