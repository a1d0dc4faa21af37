"""`devloop inject`: manifests in, the same manifests with the agent in them out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from devloop import errors
from devloop.cli import options, output, project

if TYPE_CHECKING:
    from devloop.manifests import filter as manifests
    from devloop.manifests import workloads
    from devloop.podspec import request

NONE_CODE: Final = "DL0812"

_HELP: Final = """\
Put the agent into the workloads of devloop.yaml, in manifests that are read from a file or from stdin and printed
again. Everything else in them passes byte for byte.

\b
kustomize build overlays/mine | devloop inject -f - | kubectl apply -f -
devloop inject -f deployment.yaml --uninject
"""


@click.command("inject", cls=options.Verb, help=_HELP)
@click.option("-f", "--manifests", "path", default="-", metavar="FILE", help="The manifests; - is stdin, the default.")
@click.option(
    "--service",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=project.complete_services,
    help="Only this service; may be given several times.",
)
@click.option("--agent-image", envvar="DEVLOOP_AGENT_IMAGE", metavar="IMAGE", help="The agent's image.")
@click.option(
    "--allow-dial",
    multiple=True,
    metavar="NAME|CIDR[:PORT]",
    help="What may be connected to through the agent, besides the pod and its namespace; may be given several times.",
)
@click.option(
    "--kube-version",
    default="1.29",
    show_default=True,
    metavar="VERSION",
    help="The cluster's version: before 1.29 the agent is an ordinary container.",
)
@click.option("--uninject", is_flag=True, help="Take the agent out again, from every workload that has it.")
@click.option("--print-component", is_flag=True, help="Print a kustomize component that does the same.")
@click.option("--print-helm", is_flag=True, help="Print templates for a Helm chart that do the same.")
@options.pass_settings
def command(
    settings: options.Settings,
    path: str,
    names: tuple[str, ...],
    agent_image: str | None,
    allow_dial: tuple[str, ...],
    kube_version: str,
    uninject: bool,
    print_component: bool,
    print_helm: bool,
) -> int:
    """Filter the manifests."""
    from devloop.manifests import filter as manifests

    if uninject + print_component + print_helm > 1:
        raise errors.UsageError(
            "--uninject, --print-component and --print-helm exclude each other", hint="keep one of them"
        )
    platform = _platform(agent_image, kube_version, allow_dial)
    shown = "<stdin>" if path == "-" else path
    text = _read(path)
    if uninject:
        done = manifests.uninject_all(text, shown, names)
        _require(done, shown, "has the agent in it")
        return _finish(settings, done, shown)
    wanted = _wanted(settings, names)
    done = manifests.inject_all(text, shown, wanted, platform)
    _require(done, shown, f"is one of {', '.join(_meant(each) for each in wanted)}")
    for each in wanted:
        if each.service.name not in done.services:
            output.human(settings, f"devloop: {each.service.name}: {_meant(each)} is not in {shown}")
    if print_component or print_helm:
        return _print_one(settings, done, text, shown, helm=print_helm)
    return _finish(settings, done, shown)


def _platform(agent_image: str | None, kube_version: str, allow_dial: tuple[str, ...]) -> request.Platform:
    from devloop.core import allowlist
    from devloop.podspec import names, request

    for entry in allow_dial:
        try:
            allowlist.parse(entry)
        except ValueError as error:
            raise errors.UsageError(f"--allow-dial: {error}", hint=allowlist.HINT) from None

    try:
        version = request.KubeVersion.parse(kube_version)
    except ValueError:
        raise errors.UsageError(
            f"{kube_version!r} is no version of Kubernetes", hint="write --kube-version 1.29"
        ) from None
    return request.Platform(agent_image or names.AGENT_IMAGE, version, allow_dial=allow_dial)


def _read(path: str) -> str:
    try:
        if path == "-":
            if sys.stdin.isatty():
                raise errors.UsageError("there are no manifests", hint="name them with -f, or pipe them in")
            raw = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                raw = file.read()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise errors.UsageError(f"{path} cannot be read: {error.strerror}", hint="name the file of manifests") from None
    except UnicodeDecodeError as error:
        raise errors.UsageError(f"{path} is not UTF-8 text: byte {error.start}", hint="save it as UTF-8") from None


def _wanted(settings: options.Settings, names: tuple[str, ...]) -> list[manifests.Wanted]:
    from devloop.config import injection
    from devloop.manifests import filter as manifests

    loaded = project.loaded(settings)
    config = loaded.config
    wanted = []
    for name in project.check_services(loaded, names):
        service = config.services[name]
        if service.target is not None:
            if names:
                raise errors.UsageError(f"{name} has a target on this machine", hint="name a service with a workload")
            continue
        workload = str(service.workload) if service.workload else ""
        asked = injection.request_of(name, service)
        namespace = settings.namespace or config.namespace or ""
        wanted.append(manifests.Wanted(asked, workload, service.selector or {}, namespace))
    if not wanted:
        raise errors.UsageError(
            "no service of devloop.yaml has a workload", hint="add workload: deployment/NAME to the one that is meant"
        )
    return wanted


def _meant(wanted: manifests.Wanted) -> str:
    labels = ", ".join(f"{key}={value}" for key, value in wanted.selector.items())
    return wanted.workload or f"the workload of {labels}"


def _require(done: manifests.Filtered, shown: str, what: str) -> None:
    """Refuse an input in which nothing is meant: a filter that silently does nothing would be found out late."""
    if done.changed or done.problems:
        return
    seen = ", ".join(dict.fromkeys(done.seen))
    hint = f"it has {seen}; check workload: and namespace: in devloop.yaml" if seen else "it has no workloads at all"
    raise errors.UsageError(f"no workload in {shown} {what}", hint=hint, code=NONE_CODE)


def _finish(settings: options.Settings, done: manifests.Filtered, shown: str) -> int:
    status = _tell(settings, done, shown)
    if done.changed:
        sys.stdout.write(done.text)
    return status


def _tell(settings: options.Settings, done: manifests.Filtered, shown: str) -> int:
    """Say what was done and what was not, and return the exit status."""
    from devloop.cli import errors as cli_errors

    for note in done.notes:
        where = note.workload or f"{shown}:{note.place.line}"
        output.human(settings, output.clean(f"devloop: {where}: {note.message}"), verbosity=1 if note.workload else 0)
    for name in done.changed if settings.verbosity < 1 else ():
        output.human(settings, f"devloop: {name} is ready for devloop (-v says what was changed)")
    found = [_error(told.message, told, shown) for told in done.problems]
    for line in cli_errors.lines_of_config(found, on=settings.color_on(sys.stderr)):
        sys.stderr.write(line + "\n")
    if not found:
        return int(errors.Exit.OK)
    return int(errors.Exit.PARTIAL if done.changed else errors.Exit.USAGE)


def _error(message: str, told: manifests.Told, shown: str) -> errors.ConfigError:
    return errors.ConfigError(
        f"{told.workload}: {message}",
        hint=told.hint,
        code=told.code,
        file=shown,
        line=told.place.line,
        column=told.place.column,
    )


def _print_one(settings: options.Settings, done: manifests.Filtered, text: str, shown: str, *, helm: bool) -> int:
    from devloop.manifests import component, snippet

    before, after = _workloads(text, shown), _workloads(done.text, shown)
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old.value != new.value]
    if len(changed) > 1:
        raise errors.UsageError(
            f"{' and '.join(str(old) for old, _ in changed)} need one each", hint="name one with --service"
        )
    status = _tell(settings, done, shown)
    for old, new in changed:
        sys.stdout.write((snippet.snippet if helm else component.component)(old, new.pod()))
    for claim in done.claims:
        output.human(settings, f"devloop: add the claim {claim} too, as the filter prints it")
    return status


def _workloads(text: str, shown: str) -> list[workloads.Found]:
    from devloop.manifests import documents, workloads

    return [found for each in documents.parse(text, shown) for found in workloads.find(each.value)]
