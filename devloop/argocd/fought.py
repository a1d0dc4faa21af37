"""Whether somebody takes a switch back while it is rolled out: seen, explained, and not fought.

Pure. An ApplicationSet or a parent writes its own value again, mostly within seconds. devloop does not write a second
time: two that write in turn would sync the environment back and forth for ever.
"""

from __future__ import annotations

from collections.abc import Mapping

from devloop import errors
from devloop.argocd import application, findings, lease, switching

CODE = "DL1028"


class Watch:
    """Looks at Applications that were switched.

    Args:
        held: The lease.
        owners: What is known of each one's owners.
    """

    def __init__(self, held: lease.Lease, owners: Mapping[application.Reference, findings.Verdict]) -> None:
        self._held = held
        self._entries = {entry.reference: entry for entry in held.record.entries}
        self._owners = owners

    @property
    def is_likely(self) -> bool:
        """Something is known that will take the switch back."""
        return any(
            each.effect is findings.Effect.REVERTS and each.answer is not findings.Answer.FINE
            for verdict in self._owners.values()
            for each in verdict.findings
        )

    def take(self, one: application.Application) -> None:
        """Look at an Application as it is now.

        Raises:
            ConflictError: It is not as the lease made it.
        """
        entry = self._entries.get(one.reference)
        if entry is None:
            return
        pointer, held = self._held.record.kind.pointer, self._held.reference
        how, words = switching.standing(one, entry, pointer, held)
        if how is switching.Standing.OURS:
            return
        verdict = self._owners.get(one.reference)
        guilty = (
            next((each for each in verdict.findings if each.effect is findings.Effect.REVERTS), None)
            if verdict
            else None
        )
        who = f"{guilty.kind} {guilty.name}" if guilty is not None else _writer(one)
        fix = f"Ops can allow it by this in {guilty.where}:\n{guilty.fix}" if guilty is not None and guilty.fix else ""
        raise errors.ConflictError(
            f"{one.reference} was changed back by {who}: {words or 'it is as before the switch'}",
            hint=fix
            or "ask who changes it; then close the lease with `devloop env restore`, which leaves it as it is now",
            code=CODE,
        )


def _writer(one: application.Application) -> str:
    """Return who wrote the spec last, as the object's managed fields tell; Argo CD's status does not count."""
    newest = ("", "somebody")
    for each in application.mappings(application.mapping(one.raw, "metadata"), "managedFields"):
        manager, time = application.text(each, "manager"), application.text(each, "time")
        if manager != "devloop" and "f:spec" in application.mapping(each, "fieldsV1") and time >= newest[0]:
            newest = (time, manager)
    return newest[1]
