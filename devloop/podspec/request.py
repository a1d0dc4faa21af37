"""What an injection is asked for: the service, as far as a pod is concerned, and the cluster that it is for.

Plain values without devloop.yaml's model, so that the webhook can make them from a custom resource.
`devloop.config.injection` makes them from devloop.yaml.
"""

from __future__ import annotations

import enum
import re
from typing import Final, Self

import msgspec

from devloop.podspec import names

# Sidecars that Kubernetes itself knows are on by default from 1.29 (KEP-753).
_NATIVE: Final = (1, 29)


class Probes(enum.StrEnum):
    """What happens to liveness and startup probes. Readiness is always kept."""

    AUTO = "auto"
    KEEP = "keep"
    DROP = "drop"


class Sync(msgspec.Struct, frozen=True):
    """One synced folder.

    Attributes:
        to: The folder in the container, absolute and normalised.
        seed: Patterns of the image's own files that are there at the start; `**` is all, none is nothing.
        size_limit: The most that its volume may hold, as a Kubernetes quantity.
    """

    to: str
    seed: tuple[str, ...] = ("**",)
    size_limit: str = names.SYNC_LIMIT


class Service(msgspec.Struct, frozen=True):
    """One container and what it is to become.

    Attributes:
        name: The service's name in devloop.yaml.
        syncs: At least one.
        container: The container's name; empty for the only one.
        supervise: Its command runs under the launcher.
        command: What runs in place of the container's own command; empty keeps that.
        workdir: Where it runs; empty for the first sync's `to` where `command` is given, else as it was.
        env: Variables that are added or replaced, in order.
        image: Another image; empty keeps it.
        probes: What happens to the probes.
        persist: Folders that outlive the pod, absolute and normalised.
        persist_size: How large their claim is made, as Kubernetes writes it.
        user: The app's UID where the pod does not tell.
        group: The app's GID where the pod does not tell.
        grace_s: How long the app may take to end, in seconds.
        wait_first_sync: The app starts after the first sync.
    """

    name: str
    syncs: tuple[Sync, ...]
    container: str = ""
    supervise: bool = False
    command: tuple[str, ...] = ()
    workdir: str = ""
    env: tuple[tuple[str, str], ...] = ()
    image: str = ""
    probes: Probes = Probes.AUTO
    persist: tuple[str, ...] = ()
    persist_size: str = names.PERSIST_SIZE
    user: int | None = None
    group: int | None = None
    grace_s: float = 5.0
    wait_first_sync: bool = False

    @property
    def claim(self) -> str:
        """The name of the PersistentVolumeClaim that `persist` needs."""
        return f"devloop-{re.sub('[^a-z0-9-]+', '-', self.name.lower())}"


class KubeVersion(msgspec.Struct, frozen=True, order=True):
    """A Kubernetes server's version."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the version that `1.29`, `v1.29.3` or `1.29+` says.

        Raises:
            ValueError: It says none.
        """
        found = re.match(r"v?([0-9]{1,3})\.([0-9]{1,3})(?![0-9])", text)
        if not found:
            raise ValueError(text)
        return cls(int(found[1]), int(found[2]))

    @property
    def has_native_sidecars(self) -> bool:
        """Whether an init container may go on running beside the app."""
        return (self.major, self.minor) >= _NATIVE


class Platform(msgspec.Struct, frozen=True):
    """What is not the service's to decide.

    Attributes:
        agent_image: The agent's image, the same version as this devloop.
        version: The server that the pod is for.
        claim_templates: Volumes that a StatefulSet's `volumeClaimTemplates` bring.
        allow_dial: What agents may dial besides the pod and its namespace (`devloop.core.allowlist`).
    """

    agent_image: str
    version: KubeVersion = KubeVersion(*_NATIVE)
    claim_templates: frozenset[str] = frozenset()
    allow_dial: tuple[str, ...] = ()
