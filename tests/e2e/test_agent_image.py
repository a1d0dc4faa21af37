"""The agent's image as scripts/image builds it: what it runs as, what is in it, and that it says what it is."""

from __future__ import annotations

import json
import os
import tarfile
from typing import Any

import pytest

from devloop import __version__
from tests.e2e import cluster, shapes, space

SHARED = ["__init__.py", "core", "errors.py", "fs", "proc", "protocol", "wire"]


@pytest.fixture(scope="module")
def config(agent_image: str) -> dict[str, Any]:
    """The image's configuration, out of its archive."""
    if "DEVLOOP_E2E_AGENT_IMAGE" in os.environ:
        pytest.skip("the image was built elsewhere")
    path = cluster.run(str(cluster.REPO / "scripts" / "image"), "--archive", timeout_s=cluster.UP_S).strip()
    with tarfile.open(path) as archive:
        (manifest,) = json.load(member(archive, "manifest.json"))
        assert manifest["RepoTags"] == [agent_image]
        found: dict[str, Any] = json.load(member(archive, manifest["Config"]))
    return found


def member(archive: tarfile.TarFile, name: str) -> Any:
    opened = archive.extractfile(name)
    assert opened is not None
    return opened


def test_it_runs_the_agent_as_nobody_special(config: dict[str, Any]) -> None:
    told = config["config"]
    assert told["Entrypoint"] == ["python", "-m", "agent"]
    assert told["User"] == "65532:65532"
    assert told.get("ExposedPorts") is None


def test_it_is_labelled(config: dict[str, Any]) -> None:
    labels = config["config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.revision"] not in ("", "unknown")


def test_it_explains_itself_to_any_user(ns: space.Space, agent_image: str) -> None:
    told = shapes.container(shapes.AGENT, agent_image, args=["--help"])
    ns.apply(shapes.pod("told", [told], restartPolicy="Never"))
    assert ns.finished("told") == "Succeeded"
    assert "The pod side of devloop" in ns.logs("told")


def test_it_holds_the_agent_and_the_shared_kernel_with_their_bytecode(ns: space.Space, agent_image: str) -> None:
    look = """
import importlib.util, json, os
place = "/usr/lib/devloop/"
lacking = []
for folder, _, names in os.walk(place):
    for name in names:
        if name.endswith(".py"):
            cached = importlib.util.cache_from_source(os.path.join(folder, name))
            # PEP 552: flags 1 say that the bytecode is of a hash that nobody checks
            if not os.path.exists(cached) or open(cached, "rb").read(8)[4:] != b"\\1\\0\\0\\0":
                lacking.append(cached)
print(json.dumps({
    "devloop": sorted(name for name in os.listdir(place + "devloop") if name != "__pycache__"),
    "packages": sorted(name for name in os.listdir(place) if "." not in name),
    "lacking": lacking,
    "busybox": os.access("/usr/share/devloop/busybox", os.X_OK),
}))
"""
    ns.apply(shapes.once("look", agent_image, "python", "-c", look))
    assert ns.finished("look") == "Succeeded"
    assert json.loads(ns.logs("look")) == {
        "devloop": SHARED,
        "packages": ["agent", "backports", "devloop", "msgspec", "websockets"],
        "lacking": [],
        "busybox": True,
    }
