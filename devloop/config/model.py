"""What devloop.yaml says, as frozen objects that the rest of the program reads.

Made by `devloop.config.load` only, which has checked them and resolved every laptop path to an absolute one. The
names of YAML that are words of Python or lack their unit have other attribute names: `from` is `source`, `in` is
`where`, durations end in `_s`. What one field alone allows is said here; what depends on several fields is in
`devloop.config.checks`. The descriptions are the reference: they go into the JSON schema and from there to editors.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any, Final, Literal, TypeAlias

import pydantic
from pydantic import Field

from devloop.config import addresses, values

# The only version of the file's language so far.
VERSION: Final = 1

# Looking again costs a stat of every file, so more often than this would keep a core busy on large trees.
MIN_POLL_S: Final = 0.1

_TEXT: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_WORDS: dict[str, Any] = {"type": "array", "items": _TEXT, "minItems": 1}
_LINE: dict[str, Any] = {
    "type": "object",
    "properties": {"shell": {"type": "string", "description": "A line for /bin/sh."}},
    "required": ["shell"],
    "additionalProperties": False,
}
_ALL_OR_NONE: dict[str, Any] = {"enum": ["all", "none"]}
_GLOBS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}


def _typed(parse: Any, schema: dict[str, Any]) -> tuple[Any, Any]:
    return pydantic.PlainValidator(parse), pydantic.WithJsonSchema(schema)


def _laptop_path(value: object, info: pydantic.ValidationInfo) -> str:
    folder = info.context["folder"] if isinstance(info.context, dict) else ""
    return values.laptop_path(value, folder)


def _env_value(value: object) -> str:
    if not isinstance(value, str):
        raise values.BadValue(f"expected text, found {values.kind_of(value)}", 'write "" for an empty value')
    if "\0" in value:
        raise values.BadValue("an environment variable cannot hold a NUL")
    return value


def _env_name(value: object) -> str:
    if not isinstance(value, str) or not value or "=" in value or "\0" in value:
        raise values.BadValue(f"{value!r} cannot be the name of an environment variable")
    return value


def _poll_s(value: object) -> float:
    seconds = values.duration_s(value)
    if seconds < MIN_POLL_S:
        raise values.BadValue(f"{value} is too often", f"at least {MIN_POLL_S} s between two looks")
    return seconds


def _version(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _fits(pattern: str) -> dict[str, Any]:
    # What holds a variable cannot be judged before it is replaced.
    return {"type": "string", "pattern": rf"{pattern}|\$\{{"}


_Duration = _fits(values.DURATION_PATTERN)
Seconds: TypeAlias = Annotated[float, *_typed(values.duration_s, _Duration)]
PollSeconds: TypeAlias = Annotated[float, *_typed(_poll_s, _Duration)]
Name: TypeAlias = Annotated[str, *_typed(values.name, _fits(values.NAME_PATTERN))]
# A key, in which no variable is replaced.
Key: TypeAlias = Annotated[str, *_typed(values.name, {"type": "string", "pattern": values.NAME_PATTERN})]
Label: TypeAlias = Annotated[str, *_typed(values.dns_label, {"type": "string"})]
Workload: TypeAlias = Annotated[values.Workload, *_typed(values.workload, _fits("^[A-Za-z]+/."))]
LaptopPath: TypeAlias = Annotated[str, *_typed(_laptop_path, {"type": "string", "minLength": 1})]
PodPath: TypeAlias = Annotated[str, *_typed(values.pod_path, _fits("^/"))]
SyncTo: TypeAlias = Annotated[str, *_typed(values.sync_to, _fits("^/."))]
IgnorePattern: TypeAlias = Annotated[str, *_typed(values.ignore_pattern, {"type": "string"})]
Pattern: TypeAlias = Annotated[str, *_typed(values.pattern, {"type": "string"})]
Command: TypeAlias = Annotated[tuple[str, ...], *_typed(values.argv, {"anyOf": [_WORDS, _LINE]})]
Seed: TypeAlias = Annotated[tuple[str, ...], *_typed(values.seed, {"anyOf": [_ALL_OR_NONE, _GLOBS]})]
Signal: TypeAlias = Annotated[str, *_typed(values.signal_name, {"type": "string"})]
Quantity: TypeAlias = Annotated[str, *_typed(values.quantity, {"type": ["string", "integer"]})]
RunAs: TypeAlias = Annotated[str, *_typed(values.run_as, {"type": ["string", "integer"]})]
PodPort: TypeAlias = Annotated[values.Forward, *_typed(values.pod_port, {"type": ["string", "integer"]})]
ServicePort: TypeAlias = Annotated[values.Forward, *_typed(values.service_forward, {"type": "string"})]
WebServer: TypeAlias = Annotated[str, *_typed(addresses.web_server, {"type": "string", "minLength": 1})]
LinkTemplate: TypeAlias = Annotated[str, *_typed(addresses.link_template, _fits("^https?://."))]
EnvName: TypeAlias = Annotated[str, *_typed(_env_name, {"type": "string"})]
EnvValue: TypeAlias = Annotated[str, *_typed(_env_value, _TEXT)]


class Part(pydantic.BaseModel):
    """A mapping of devloop.yaml. An optional key with nothing behind it counts as not written."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, validate_by_alias=True, validate_by_name=True)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = cls.yaml_keys()
        return {key: value for key, value in data.items() if value is not None or key not in known}

    @classmethod
    def yaml_keys(cls) -> frozenset[str]:
        """Return the keys as they are written in YAML."""
        return frozenset(field.alias or name for name, field in cls.model_fields.items())


class Symlinks(enum.StrEnum):
    """What happens to symbolic links in a sync."""

    KEEP = "keep"
    FOLLOW = "follow"
    SKIP = "skip"


class Extra(enum.StrEnum):
    """What happens to paths in the target that devloop does not know."""

    KEEP = "keep"
    DELETE = "delete"


class Where(enum.StrEnum):
    """The side that a hook runs on."""

    POD = "pod"
    LAPTOP = "laptop"


class Mode(enum.StrEnum):
    """How the app takes up what was synced."""

    NONE = "none"
    SUPERVISE = "supervise"
    SIGNAL = "signal"
    COMMAND = "command"


class Probes(enum.StrEnum):
    """What happens to the liveness and startup probes of an injected container."""

    AUTO = "auto"
    KEEP = "keep"
    DROP = "drop"


class Backend(enum.StrEnum):
    """How changes on the laptop are noticed."""

    AUTO = "auto"
    NATIVE = "native"
    POLLING = "polling"


class Sync(Part):
    """One folder on the laptop that is shipped to one folder in the container."""

    source: LaptopPath = Field(
        alias="from",
        description="The folder on the laptop, relative to this file. `~/` is your home.",
        examples=[".", "./web"],
    )
    to: SyncTo = Field(
        description="The folder in the container, absolute. With a local target it lies in the target's folder.",
        examples=["/app"],
    )
    ignore: tuple[IgnorePattern, ...] = Field(
        default=(),
        description="What is not shipped, besides what git ignores: lines as in .gitignore, the last match decides.",
        examples=[["*.tmp", "fixtures/large/"]],
    )
    include: tuple[Pattern, ...] = Field(
        default=(),
        description="What is shipped although git ignores it: build output, for example.",
        examples=[["dist/**"]],
    )
    pull: tuple[Pattern, ...] = Field(
        default=(),
        description="What is brought back from the pod when the app makes or changes it. Nothing else ever is.",
        examples=[["migrations/*.py"]],
    )
    symlinks: Symlinks = Field(
        default=Symlinks.KEEP,
        description="keep: shipped as links. follow: what they point to is shipped. skip: left out.",
    )
    extra: Extra = Field(
        default=Extra.KEEP,
        description="Paths in the target that devloop never shipped and git does not list: keep them, or delete them.",
    )
    seed: Seed = Field(
        default=("**",),
        description="In an injected pod: which of the image's own files are there at the start. all, none or patterns.",
        examples=["all", ["node_modules/**"]],
        json_schema_extra={"default": "all"},
    )


class OnChange(Part):
    """A command that runs when certain files changed, after the sync and before the reload."""

    paths: tuple[Pattern, ...] = Field(
        min_length=1,
        description="Patterns as in .gitignore, relative to the sync's `from`; one match is enough.",
        examples=[["requirements.txt"]],
    )
    run: Command = Field(
        description="The command: a list of words, or {shell: LINE}.",
        examples=[["pip", "install", "-r", "requirements.txt"]],
    )
    where: Where = Field(default=Where.POD, alias="in", description="The side that it runs on: pod or laptop.")
    name: str = Field(default="", description="What it is called in the output; the command itself by default.")
    timeout_s: Seconds = Field(
        default=600.0,
        alias="timeout",
        description="When it is ended and counted as failed.",
        json_schema_extra={"default": "10m"},
    )


class Build(Part):
    """A command on the laptop that makes what is then synced."""

    run: Command = Field(
        description="The command: a list of words, or {shell: LINE}.", examples=[["npm", "run", "build"]]
    )
    when: tuple[Pattern, ...] = Field(
        min_length=1,
        description="A change that matches starts it: patterns as in .gitignore, relative to the sync's `from`.",
        examples=[["src/**"]],
    )
    cwd: LaptopPath | None = Field(
        default=None, description="Where it runs, relative to this file; the first sync's `from` by default."
    )
    timeout_s: Seconds = Field(
        default=600.0,
        alias="timeout",
        description="When it is ended and counted as failed.",
        json_schema_extra={"default": "10m"},
    )


class Reload(Part):
    """How the app takes up what was synced. `reload: supervise` is short for `reload: {mode: supervise}`."""

    mode: Mode = Field(
        default=Mode.NONE,
        description="none: the app reloads by itself. supervise: devloop runs `command` and starts it again. "
        "signal: the app gets a signal. command: a command is run.",
    )
    signal: Signal | None = Field(default=None, description="The signal of `mode: signal`.", examples=["HUP", "USR2"])
    run: Command | None = Field(
        default=None,
        description="The command of `mode: command`.",
        examples=[["nginx", "-s", "reload"]],
    )
    grace_s: Seconds = Field(
        default=5.0,
        alias="grace",
        description="How long the app may take to end after TERM, before KILL.",
        json_schema_extra={"default": "5s"},
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: Any) -> Any:
        return {"mode": data} if isinstance(data, str) else data


class Target(Part):
    """A target on this machine: the agent runs as a subprocess, and no cluster is needed."""

    local: LaptopPath = Field(
        description="A folder of its own, relative to this file. It is the target's root: `to: /app` is its `app`.",
        examples=["./.devloop/web"],
    )


class Service(Part):
    """One container: where it is, what is synced to it, how it is reloaded, and its ports."""

    workload: Workload | None = Field(
        default=None,
        description="The workload whose pods are synced: KIND/NAME. One of workload, selector and target is needed.",
        examples=["deployment/web", "statefulset/db", "rollout/api"],
    )
    selector: dict[str, EnvValue] | None = Field(
        default=None,
        min_length=1,
        description="Labels of the pods, where no workload owns them.",
        examples=[{"app": "web"}],
    )
    target: Target | None = Field(default=None, description="A folder on this machine in place of a pod.")
    container: Label | None = Field(default=None, description="The container; needed where a pod has several.")
    command: Command | None = Field(
        default=None,
        description="What `reload: supervise` runs: a list of words, or {shell: LINE}. In a pod, the container's own "
        "command by default.",
        examples=[["python", "app.py"]],
    )
    workdir: PodPath | None = Field(
        default=None, description="Where the command runs; the first sync's `to` by default.", examples=["/app"]
    )
    env: dict[EnvName, EnvValue] = Field(
        default={},
        description="Environment variables for the command, on top of the container's own.",
        examples=[{"DEBUG": "1"}],
    )
    image: str | None = Field(default=None, min_length=1, description="Another image for the injected container.")
    probes: Probes = Field(
        default=Probes.AUTO,
        description="Liveness and startup probes of the injected container: dropped under `reload: supervise` (auto), "
        "always kept, or always dropped. Readiness is kept.",
    )
    persist: tuple[PodPath, ...] = Field(
        default=(),
        description="Folders in the container that outlive a restart of the pod.",
        examples=[["/app/node_modules"]],
    )
    persist_size: Quantity | None = Field(
        default=None,
        description="How large the claim for `persist` is made; 5Gi by default.",
        examples=["20Gi"],
    )
    run_as: RunAs | None = Field(
        default=None,
        description="UID, or UID:GID, of the app, where the pod does not tell.",
        examples=["1000", "1000:1000"],
    )
    build: Build | None = Field(default=None, description="A command on the laptop, run before the sync.")
    sync: tuple[Sync, ...] = Field(min_length=1, description="The folders that are shipped. The first is the main one.")
    on_change: tuple[OnChange, ...] = Field(
        default=(), description="Commands that run when certain files changed, before the reload."
    )
    reload: Reload = Field(default=Reload(), description="How the app takes up what was synced.")
    ports: tuple[PodPort, ...] = Field(
        default=(),
        description="Ports of the pod on localhost: PORT, LOCAL:PORT, FIRST-LAST:PORT or ADDRESS:LOCAL:PORT.",
        examples=[["8000", "8080:80"]],
    )
    reverse: tuple[PodPort, ...] = Field(
        default=(),
        description="Ports of the laptop that the pod finds on its own localhost: PORT or LOCAL:PORT.",
        examples=[["9003"]],
    )
    wait_first_sync: bool = Field(
        default=False, description="The app starts only after the first sync, or after a minute without a laptop."
    )


class Argocd(Part):
    """The Argo CD environment of this project; what is not said is found by the services' workloads."""

    application: str | None = Field(
        default=None,
        min_length=1,
        description="The Application that is the environment, an app-of-apps with its children included.",
        examples=["shop"],
    )
    namespace: Label | None = Field(
        default=None, description="The namespace that its Applications are in.", examples=["argocd"]
    )
    server: WebServer | None = Field(
        default=None,
        description="Argo CD's own server. With it devloop uses Argo CD's API and your login there; without it the "
        "Kubernetes API and your rights on Applications.",
        examples=["https://argocd.example.com"],
    )
    url: WebServer | None = Field(
        default=None,
        description="Argo CD's address for links, where no `server` is named.",
        examples=["https://argocd.example.com"],
    )
    templates: LaptopPath | None = Field(
        default=None,
        description="A clone of the repository that it renders, relative to this file.",
        examples=["../deploy-templates"],
    )
    links: dict[Key, LinkTemplate] = Field(
        default={},
        description="Web pages that belong to the environment: {application}, {namespace}, {service}, {workload} and "
        "{pod} are filled in.",
        examples=[{"grafana": "https://grafana.example.com/d/pods?var-namespace={namespace}&var-pod={pod}"}],
    )


class Watch(Part):
    """How changes on the laptop are noticed."""

    backend: Backend = Field(
        default=Backend.AUTO,
        description="auto: the system's events, and polling where they do not work. native: events or an error. "
        "polling: always look again, for network file systems.",
    )
    poll_s: PollSeconds = Field(
        default=2.0,
        alias="poll",
        description="How often polling looks again.",
        json_schema_extra={"default": "2s"},
    )


class Config(Part):
    """devloop.yaml: what is synced from this project, and to where."""

    version: Annotated[Literal[1], pydantic.BeforeValidator(_version)] = Field(
        description="The version of this file's language: 1."
    )
    name: Name = Field(
        default="",
        validate_default=False,
        description="The project's name; its folder's by default.",
        examples=["shop"],
    )
    context: str | None = Field(
        default=None,
        min_length=1,
        description="The kube context that this project belongs to. Every other one is refused.",
        examples=["dev-cluster"],
    )
    namespace: Label | None = Field(default=None, description="The namespace of the services.", examples=["${USER}"])
    services: dict[Key, Service] = Field(default={}, description="The services, by name.")
    forwards: tuple[ServicePort, ...] = Field(
        default=(),
        description="Other services of the namespace on localhost: NAME:PORT, LOCAL:NAME:PORT or NAME.NAMESPACE:PORT.",
        examples=[["postgres:5432"]],
    )
    hold_s: Seconds = Field(
        default=30.0,
        alias="hold",
        description="How long a connection to a forwarded port waits while its pod is away, before it is reset.",
        json_schema_extra={"default": "30s"},
    )
    argocd: Argocd | None = Field(default=None, description="The Argo CD environment of this project.")
    watch: Watch = Field(default=Watch(), description="How changes on the laptop are noticed.")
