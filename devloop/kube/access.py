"""What the user may do, by asking the API server rather than by trying.

`can` is exact. `rules` gives all rights in a namespace at once but may be incomplete, for example where a webhook
authorises: then only a yes is to be believed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from devloop import errors
from devloop.kube import client, failures, paths

_REVIEWS = "authorization.k8s.io/v1"


class Verdict(msgspec.Struct, frozen=True):
    """Whether something may be done.

    Attributes:
        allowed: It may.
        reason: The authoriser's words; often empty.
    """

    allowed: bool
    reason: str = ""


class Rule(msgspec.Struct, frozen=True, rename="camel"):
    """Verbs that are allowed on resources; `*` stands for all, no names for every name."""

    verbs: list[str]
    api_groups: list[str] = []
    resources: list[str] = []
    resource_names: list[str] = []

    def covers(self, asked: paths.Asked) -> bool:
        """Say whether this allows what is asked for."""
        resources = {"*", asked.kind(), *([f"*/{asked.subresource}"] if asked.subresource else [])}
        return (
            not {"*", asked.verb}.isdisjoint(self.verbs)
            and not {"*", asked.group}.isdisjoint(self.api_groups)
            and not resources.isdisjoint(self.resources)
            and (not self.resource_names or asked.name in self.resource_names)
        )


class Rules(msgspec.Struct, frozen=True):
    """The rights in one namespace.

    Attributes:
        rules: What is allowed.
        complete: A missing right is really missing.
    """

    rules: tuple[Rule, ...]
    complete: bool

    def allow(self, asked: paths.Asked) -> bool:
        """Say whether one of the rules allows what is asked for."""
        return any(rule.covers(asked) for rule in self.rules)


async def can(api: client.Client, asked: paths.Asked) -> Verdict:
    """Ask whether the user may do something; everybody may ask that.

    Args:
        api: The connection.
        asked: With a namespace where the kind has one, and a name where it is about one object only.

    Raises:
        ClusterError: See `Client.get`.
    """
    attributes = {
        "verb": asked.verb,
        "group": asked.group,
        "resource": asked.resource,
        "subresource": asked.subresource,
        "namespace": asked.namespace,
        "name": asked.name,
    }
    wanted = {"resourceAttributes": {key: value for key, value in attributes.items() if value}}
    status = await _review(api, "SelfSubjectAccessReview", "selfsubjectaccessreviews", wanted)
    reason = status.get("reason") or status.get("evaluationError") or ""
    return Verdict(status.get("allowed") is True and status.get("denied") is not True, str(reason))


async def rules(api: client.Client, namespace: str) -> Rules:
    """Return all that the user may do in a namespace.

    Args:
        api: The connection.
        namespace: The namespace; it need not exist.

    Raises:
        ClusterError: See `Client.get`.
    """
    status = await _review(api, "SelfSubjectRulesReview", "selfsubjectrulesreviews", {"namespace": namespace})
    try:
        found = msgspec.convert(status.get("resourceRules") or [], list[Rule])
    except msgspec.ValidationError as error:
        raise errors.UnreachableError(
            f"the API server told the rights in a form that is not known: {error}", code=failures.STRANGER_CODE
        ) from None
    return Rules(tuple(found), not status.get("incomplete"))


async def _review(api: client.Client, kind: str, resource: str, spec: dict[str, Any]) -> dict[str, Any]:
    body = {"apiVersion": _REVIEWS, "kind": kind, "spec": spec}
    answer = await api.create(paths.of(_REVIEWS, resource), body)
    status = answer.get("status")
    return status if isinstance(status, dict) else {}
