"""The HTTPS server that the API server calls: one path for pods, one for sessions, one for the kubelet.

A pod is never held up: what cannot be found out in time lets it through as it is, with a warning. A session whose
author cannot be made sure of is refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from agent.webhook import cluster, mutation, review, stamp
from devloop import errors
from devloop.kube import client

# The webhook configuration gives a call 5 s; the answer has to be on its way before.
BUDGET_S: Final = 3.5
# An object may have 1.5 MiB in etcd; an update brings two of them, as JSON.
_MAX_BODY_BYTES: Final = 8 * 1024 * 1024

PODS: Final = "/pods"
SESSIONS: Final = "/sessions"
HEALTH: Final = "/healthz"

_log = logging.getLogger("devloop.webhook")

Decide = Callable[[review.Request], Awaitable[review.Answer]]


class Webhook:
    """Answers the API server's questions.

    Args:
        api: The connection to ask back.
        chart: What Ops decide.
        budget_s: How long an answer may take.
    """

    def __init__(self, api: client.Client, chart: mutation.Chart, *, budget_s: float = BUDGET_S) -> None:
        self._api = api
        self._chart = chart
        self._budget_s = budget_s

    def app(self) -> web.Application:
        """Return the application to serve."""
        made = web.Application(client_max_size=_MAX_BODY_BYTES)
        made.router.add_post(PODS, self._pods)
        made.router.add_post(SESSIONS, self._sessions)
        made.router.add_get(HEALTH, _healthy)
        return made

    async def _pods(self, http: web.Request) -> web.Response:
        return await self._answered(http, self.pod, lambda why: review.Answer(warnings=(_unchanged(why),)))

    async def _sessions(self, http: web.Request) -> web.Response:
        return await self._answered(
            http, self.session, lambda why: review.Answer(refusal=f"devloop: your rights cannot be looked up: {why}")
        )

    async def _answered(
        self, http: web.Request, decide: Decide, otherwise: Callable[[str], review.Answer]
    ) -> web.Response:
        try:
            asked = review.decode(await http.read())
        except ValueError as error:
            return web.Response(status=400, text=f"no AdmissionReview: {error}")
        try:
            async with asyncio.timeout(self._budget_s):
                answer = await decide(asked)
        except errors.ClusterError as error:
            _log.warning("%s in %s: %s", http.path, asked.namespace, error.message)
            answer = otherwise(error.message)
        except TimeoutError:
            _log.warning("%s in %s: no answer in %s s", http.path, asked.namespace, self._budget_s)
            answer = otherwise("the API server did not answer in time")
        return web.Response(body=review.encode(asked.uid, answer), content_type="application/json")

    async def pod(self, asked: review.Request) -> review.Answer:
        """Decide about a pod.

        Raises:
            ClusterError: What has to be known cannot be had.
        """
        pod = asked.object
        if asked.operation != "CREATE" or pod is None or mutation.skip(pod):
            return review.Answer()
        session = mutation.session_for(pod, await cluster.sessions(self._api, asked.namespace))
        if session is None:
            return review.Answer()
        who = session.spec.author
        if not await cluster.may_exec(self._api, asked.namespace, who):
            return mutation.passed(pod, session, f"{who.name}, whose session it is, may not exec in {asked.namespace}")
        claim = await cluster.missing_claim(self._api, session)
        if claim:
            return mutation.passed(pod, session, f"the PersistentVolumeClaim {claim} for `persist:` is not there")
        return mutation.decide(pod, session, await cluster.workload(self._api, session), self._chart)

    async def session(self, asked: review.Request) -> review.Answer:
        """Decide about a session.

        Raises:
            ClusterError: What has to be known cannot be had.
        """
        stamped = stamp.decide(asked)
        who = stamped.author
        if who is not None and not await cluster.may_exec(self._api, asked.namespace, who):
            return review.Answer(
                refusal=f"devloop: {who.name} may not create pods/exec in {asked.namespace}, and a session gives no"
                " more than that right"
            )
        return stamped.answer


async def _healthy(_http: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def _unchanged(why: str) -> str:
    return f"devloop: the pod goes without an agent: {why}"
