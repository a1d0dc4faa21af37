"""What devloop calls its parts in an injected pod, where they are mounted, and how large they may get.

Everything that looks at pods reads these: the rungs, `devloop inject`, the webhook. The agent and the two scripts
have the paths as arguments. Nothing else may be named like this in a pod; `is_ours` is how devloop tells its own.
"""

from __future__ import annotations

import re
from typing import Final

from devloop import __version__
from devloop.core import paths

AGENT_IMAGE: Final = f"ghcr.io/devloop-k8s/agent:{__version__}"
"""Where the agent's image is published: the same version as this devloop."""

ANNOTATION: Final = "devloop.dev/injected"

SESSION: Final = "devloop.dev/session"
"""The label of everything in a cluster that is there for a session; its value is the session's uid."""

MANAGER: Final = "devloop"
"""The field manager of every change that devloop makes to an object."""

TOOLS: Final = "devloop-tools"
"""The volume with busybox and the scripts, and the init container that fills it."""
RUN: Final = "devloop-run"
"""The volume in which launcher and agent tell each other what happens."""
KEY: Final = "devloop-key"
"""The volume in memory that holds the agent's key; only the agent mounts it."""
SEED: Final = "devloop-seed"
"""The init container that copies the image's own files."""
AGENT: Final = "devloop-agent"
"""The agent's container; an ephemeral one has this as the start of its name."""
PERSIST: Final = "devloop-persist"
"""The volume that outlives the pod."""

_SYNC: Final = "devloop-sync-"
_OURS: Final = re.compile(r"devloop-(tools|run|key|seed|agent|persist|sync-[0-9]+)")

HOME: Final = "/devloop"
TOOLS_AT: Final = f"{HOME}/tools"
RUN_AT: Final = f"{HOME}/run"
KEY_AT: Final = f"{HOME}/key"
ATTACHED_KEY_AT: Final = "/tmp/devloop"  # noqa: S108
"""The same of an agent that was attached to a running pod: such a one has no volumes, and a root of its own."""
PERSIST_AT: Final = f"{HOME}/persist"

BUSYBOX: Final = f"{TOOLS_AT}/busybox"
LAUNCHER: Final = f"{TOOLS_AT}/launcher.sh"
SEEDER: Final = f"{TOOLS_AT}/seed.sh"

# Where Kubernetes mounts the service account's token unless something is mounted there already
# (kubernetes: plugin/pkg/admission/serviceaccount, DefaultAPITokenMountPath).
TOKEN_AT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105
NOTHING: Final = "nothing"
"""A folder of the tools volume that stays empty: what our containers find in place of the token."""

PORT: Final = 7460
"""The agent's port on the pod's loopback."""

DATA: Final = "data"
STAGE: Final = "stage"
STATE: Final = "state"
HIDDEN: Final = paths.DEVLOOP
"""Holds stage and state where they can only be inside the synced folder. Never an entry: `core.paths.RESERVED`."""

TOOLS_LIMIT: Final = "16Mi"
RUN_LIMIT: Final = "64Mi"
KEY_LIMIT: Final = "4Mi"
SYNC_LIMIT: Final = "8Gi"
"""A pod whose emptyDir outgrows its limit is evicted, so this is for accidents, not for housekeeping."""
PERSIST_SIZE: Final = "5Gi"
"""How large the claim of `persist:` is, unless the service says."""


def sync_volume(index: int) -> str:
    """Return the name of a sync's own volume; `index` counts the service's syncs from 0."""
    return f"{_SYNC}{index}"


def sync_at(index: int) -> str:
    """Return where the agent sees a sync's volume."""
    return f"{HOME}/sync-{index}"


def is_ours(name: object) -> bool:
    """Say whether a volume or container of this name was made by devloop."""
    return isinstance(name, str) and _OURS.fullmatch(name) is not None
