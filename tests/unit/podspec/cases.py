"""Golden cases: a service and a pod in `NAME.in.yaml`, and what comes out in `NAME.out.yaml`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import yaml

from devloop.podspec import inject, names, outcome, request

FOLDER = Path(__file__).parent / "golden"
NAMES = sorted(path.name.removesuffix(".in.yaml") for path in FOLDER.glob("*.in.yaml"))
IMAGE = "registry.example.com/devloop/agent:1"


def service(**given: Any) -> request.Service:
    return msgspec.convert({"name": "web", "syncs": [{"to": "/app"}], **given}, request.Service, strict=False)


def platform(version: str = "1.30", **given: Any) -> request.Platform:
    return request.Platform(IMAGE, request.KubeVersion.parse(version), **given)


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Return a pod template with one container that needs nothing said, or with those given."""
    app = {"name": "app", "image": "app:1", "command": ["serve"], "securityContext": {"runAsUser": 1000}}
    return {"spec": {"containers": list(containers) or [app], **spec}}


class Case:
    """A golden case."""

    def __init__(self, name: str) -> None:
        told, self.pod = yaml.safe_load_all((FOLDER / f"{name}.in.yaml").read_text())
        asked = told.pop("platform", {})
        self.platform = platform(str(asked.pop("version", "1.30")), **msgspec.convert(asked, dict[str, frozenset[str]]))
        self.service = service(**told)
        self.out = FOLDER / f"{name}.out.yaml"

    def outcome(self) -> outcome.Outcome:
        return inject.inject(self.pod, self.service, self.platform)

    def shown(self) -> str:
        """Return what comes out, in the form of the file: the annotation spelled out beside the pod."""
        made = self.outcome()
        if made.refusals:
            value: dict[str, Any] = {"refused": [msgspec.to_builtins(refusal) for refusal in made.refusals]}
        else:
            shown = msgspec.json.decode(msgspec.json.encode(made.pod))
            record = shown["metadata"]["annotations"].pop(names.ANNOTATION)
            value = {"annotation": msgspec.json.decode(record), "pod": shown}
        return yaml.safe_dump(value, sort_keys=False, width=110, default_flow_style=None, allow_unicode=True)

    def golden(self) -> str:
        if os.environ.get("DEVLOOP_GOLDEN") == "write":
            self.out.write_text(self.shown())
        return self.out.read_text()
