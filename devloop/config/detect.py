"""What kind of app stands in a folder: a guess from the files that are there, for `devloop init`.

Pure: `devloop.config.init` looks, this decides, and the user edits the result. What is not known is left out
rather than invented: no command, no ports.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Mapping
from typing import Final

import msgspec

from devloop.config import values

# The files whose content says something.
READ: Final = ("Dockerfile", "Procfile", "package.json", "pyproject.toml", "requirements.txt")


class Here(msgspec.Struct, frozen=True):
    """What is in a folder.

    Attributes:
        names: Its files and folders; a folder's name ends in `/`.
        texts: The content of those files of `READ` that are there.
        in_git: It belongs to a git repository.
    """

    names: frozenset[str]
    texts: dict[str, str] = {}
    in_git: bool = False


class Hook(msgspec.Struct, frozen=True):
    """A command to run when files change."""

    paths: tuple[str, ...]
    run: tuple[str, ...]


class Guess(msgspec.Struct, frozen=True):
    """What devloop.yaml can say about a folder.

    Attributes:
        service: A name for the service.
        found_in: The file that told; empty where none did.
        command: The app's command; empty where unknown.
        shell: The command is one line for a shell.
        source: The folder to sync.
        to: Where to.
        ports: The ports that the app is known to listen on.
        hooks: Commands for changed files.
        ignore: What is not worth shipping.
    """

    service: str = "app"
    found_in: str = ""
    command: tuple[str, ...] = ()
    shell: bool = False
    source: str = "."
    to: str = "/app"
    ports: tuple[int, ...] = ()
    hooks: tuple[Hook, ...] = ()
    ignore: tuple[str, ...] = ()


class InCluster(msgspec.Struct, frozen=True):
    """What runs in the cluster, as far as that is known.

    Attributes:
        workload: KIND/NAME.
        namespace: Where it is.
        context: The kube context.
        container: Its name; empty where the pod has one only.
        command: What its first process runs; empty where unknown.
        cwd: Where it runs; empty where unknown.
        user: `UID` or `UID:GID`; empty where unknown.
        ports: What the manifest names.
    """

    workload: str
    namespace: str
    context: str
    container: str = ""
    command: tuple[str, ...] = ()
    cwd: str = ""
    user: str = ""
    ports: tuple[int, ...] = ()


def in_cluster(made: Guess, seen: InCluster) -> Guess:
    """Return a guess corrected by what really runs."""
    return msgspec.structs.replace(
        made,
        service=seen.workload.partition("/")[2],
        found_in=seen.workload if seen.command else made.found_in,
        command=seen.command or made.command,
        shell=made.shell and not seen.command,
        to=seen.cwd if seen.cwd not in {"", "/"} else made.to,
        ports=seen.ports or made.ports,
    )


def guess(here: Here) -> Guess:
    """Return what devloop.yaml can say about what is here."""
    made = _by_language(here)
    if "Procfile" in here.texts:
        made = _with_procfile(made, here.texts["Procfile"])
    if "Dockerfile" in here.texts:
        made = _with_dockerfile(made, here)
    if not _can_run(made):
        made = msgspec.structs.replace(made, found_in="", command=(), shell=False)
    is_web = made.ports or made.service != "app" or any("server" in word for word in made.command)
    return msgspec.structs.replace(made, service="web") if is_web and made.service == "app" else made


def _can_run(made: Guess) -> bool:
    try:
        values.argv({"shell": made.command[0]} if made.shell else made.command)
    except values.BadValue:
        return False
    return True


def _by_language(here: Here) -> Guess:
    python_files = {"manage.py", "pyproject.toml", "requirements.txt", "app.py", "main.py"}
    if "package.json" in here.names:
        return _node(here)
    if here.names & python_files:
        return _python(here)
    for marker, command, ignore in _OTHERS:
        if marker in here.names:
            return Guess(found_in=marker, command=command, ignore=ignore)
    return Guess()


_OTHERS: Final = (
    ("go.mod", ("go", "run", "."), ()),
    ("Cargo.toml", ("cargo", "run"), ("target/",)),
    ("config.ru", ("bundle", "exec", "rackup"), ("vendor/bundle/",)),
    ("index.html", ("python3", "-m", "http.server", "8000"), ()),
)


def _node(here: Here) -> Guess:
    package = _json(here.texts.get("package.json", ""))
    scripts = package.get("scripts")
    scripts = scripts if isinstance(scripts, dict) else {}
    main = package.get("main")
    command: tuple[str, ...] = ()
    if "start" in scripts:
        command = ("npm", "start")
    elif "dev" in scripts:
        command = ("npm", "run", "dev")
    elif isinstance(main, str) and main:
        command = ("node", main)
    else:
        command = next((("node", name) for name in ("server.js", "index.js") if name in here.names), ())
    lock = "package-lock.json" in here.names
    hook = Hook(("package.json", *(("package-lock.json",) if lock else ())), ("npm", "ci" if lock else "install"))
    return Guess(found_in="package.json", command=command, hooks=(hook,), ignore=("node_modules/",))


def _python(here: Here) -> Guess:
    told = "\n".join(here.texts.get(name, "") for name in ("requirements.txt", "pyproject.toml")).lower()
    hooks: tuple[Hook, ...] = ()
    if "requirements.txt" in here.names:
        hooks = (Hook(("requirements.txt",), ("python3", "-m", "pip", "install", "-r", "requirements.txt")),)
    base = Guess(hooks=hooks, ignore=("__pycache__/", ".venv/"))
    module = next((name for name in ("app", "main", "wsgi", "asgi") if f"{name}.py" in here.names), "")

    def with_command(found_in: str, *command: str, port: int = 0) -> Guess:
        return msgspec.structs.replace(base, found_in=found_in, command=command, ports=(port,) if port else ())

    if "manage.py" in here.names:
        return with_command("manage.py", "python3", "manage.py", "runserver", "--noreload", "8000", port=8000)
    if module and re.search(r"\b(fastapi|uvicorn|starlette)\b", told):
        return with_command(f"{module}.py", "python3", "-m", "uvicorn", f"{module}:app", "--port", "8000", port=8000)
    if module and re.search(r"\bflask\b", told):
        return with_command(
            f"{module}.py", "python3", "-m", "flask", "--app", module, "run", "--port", "5000", port=5000
        )
    if module:
        return with_command(f"{module}.py", "python3", f"{module}.py")
    return base


_PROCESS: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?:\s*\S")


def _with_procfile(made: Guess, text: str) -> Guess:
    lines = [line.partition(":") for line in text.splitlines() if _PROCESS.match(line)]
    processes = {name: line.strip() for name, _, line in lines}
    if not processes:
        return made
    name = "web" if "web" in processes else next(iter(processes))
    command, shell = _words(processes[name])
    return msgspec.structs.replace(made, service=name, found_in="Procfile", command=command, shell=shell)


_INSTRUCTION: Final = re.compile(r"^\s*([A-Za-z]+)\s+(.*?)\s*$")


def _with_dockerfile(made: Guess, here: Here) -> Guess:
    workdir, shell = "/", False
    command: tuple[str, ...] = ()
    ports: list[int] = []
    copies: list[tuple[str, str]] = []
    for name, rest in _instructions(here.texts["Dockerfile"]):
        if name == "FROM":
            workdir, command, ports, copies = "/", (), [], []
        elif name == "WORKDIR" and "$" not in rest:
            workdir = posixpath.normpath(posixpath.join(workdir, rest.strip("\"'")))
        elif name == "EXPOSE":
            ports += [int(port) for port in re.findall(r"\b([0-9]{1,5})(?:/tcp)?(?=\s|$)", rest)]
        elif name in {"COPY", "ADD"} and "--from" not in rest:
            copies.append((rest, workdir))
        elif name == "CMD":
            command, shell = _cmd(rest)
    source, to = _copied(copies, workdir, here.names)
    made = msgspec.structs.replace(made, source=source, to=_allowed(to), ports=tuple(ports) or made.ports)
    # An absolute path is the image's own file, which a target on this machine does not have.
    if command and not command[0].startswith("/") and made.found_in != "Procfile":
        made = msgspec.structs.replace(made, found_in="Dockerfile", command=command, shell=shell)
    return made


def _instructions(text: str) -> list[tuple[str, str]]:
    joined = re.sub(r"\\\s*\n", " ", text)
    found = (_INSTRUCTION.match(line) for line in joined.splitlines() if not line.lstrip().startswith("#"))
    return [(match[1].upper(), match[2]) for match in found if match]


def _cmd(rest: str) -> tuple[tuple[str, ...], bool]:
    words = _json_list(rest)
    return (tuple(words), False) if words and words[0] else _words(rest)


def _copied(copies: list[tuple[str, str]], workdir: str, names: frozenset[str]) -> tuple[str, str]:
    folders = []
    for rest, at in copies:
        words = _json_list(rest) or [word for word in rest.split() if not word.startswith("--")]
        if len(words) != 2 or "$" in rest:
            continue
        source, to = posixpath.normpath(words[0]), posixpath.normpath(posixpath.join(at, words[1]))
        if source == ".":
            return ".", to
        if f"{source}/" in names:
            folders.append((f"./{source}", to))
    # One folder that becomes the whole of the working folder is what is worked on.
    return folders[0] if len(folders) == 1 and folders[0][1] == workdir else (".", workdir)


def _allowed(to: str) -> str:
    try:
        return values.sync_to(to)
    except values.BadValue:
        return "/app"


def _words(line: str) -> tuple[tuple[str, ...], bool]:
    if re.search(r"[|&;<>$`*?~(){}]", line):
        return (line,), True
    try:
        return tuple(shlex.split(line)), False
    except ValueError:
        return (line,), True


def _json(text: str) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _json_list(text: str) -> list[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return value if isinstance(value, list) and all(isinstance(word, str) for word in value) else []
