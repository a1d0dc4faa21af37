"""What everything that devloop makes in a cluster is labelled and annotated with, and the kinds of it.

`devloop down` looks for the label in each of these kinds, so a rung that makes objects of another kind adds it here.
"""

from __future__ import annotations

from typing import Final

import msgspec

from devloop.podspec import names

LABEL: Final = names.SESSION
"""On every object that devloop makes; its value is the session's id."""

MANAGER: Final = names.MANAGER
"""The field manager of every change: what Argo CD can be told to leave alone."""

CLAIM_LABEL: Final = "devloop.dev/claim-of"
"""On the claim of a service's `persist:`, with the service's name; see also `devloop.manifests.filter`."""


class Kind(msgspec.Struct, frozen=True):
    """A kind of object that devloop makes.

    Attributes:
        version: Its API group and version.
        plural: Its name in paths.
    """

    version: str
    plural: str


LEASES: Final = Kind("coordination.k8s.io/v1", "leases")
CLAIMS: Final = Kind("v1", "persistentvolumeclaims")

KINDS: Final = (LEASES, CLAIMS)
