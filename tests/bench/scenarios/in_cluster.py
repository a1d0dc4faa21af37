"""A tree of 10,000 files in a pod of a real cluster, seen from inside the container.

Run by name: `scripts/bench cluster`. The cluster is that of scripts/cluster, on this machine, so that laptop and
container share the monotonic clock: what is saved holds the time of its saving, and a process in the container tells
how old it is when it sees it.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.bench import lab, stats
from tests.bench.report import Figure
from tests.bench.scenarios import plan
from tests.e2e import cluster, loop, project, shapes, space

NAME: Final = "cluster"
POD: Final = "web-0"
PLAIN: Final = "plain"
FILES: Final = 1000

# Tells how many milliseconds old each new content of a file is when it is there.
SEEN: Final = """
import os, sys, time
path, count = sys.argv[1], int(sys.argv[2])
before = os.stat(path).st_ino
print("ready", flush=True)
while count:
    now = os.stat(path).st_ino
    if now == before:
        time.sleep(0.0002)
        continue
    before, written = now, open(path).read().rpartition("#")[2]
    if not written:
        # A save that was seen between its truncating and its writing: the rest follows.
        continue
    count -= 1
    print((time.monotonic_ns() - int(written)) / 1e6, flush=True)
"""

# Tells when the last of many files has become another.
ALL_SEEN: Final = """
import os, sys, time
left = {path: os.stat(path).st_ino for path in sys.stdin.read().split()}
print("ready", flush=True)
while left:
    left = {path: inode for path, inode in left.items() if os.stat(path).st_ino == inode}
    time.sleep(0.001)
print(time.monotonic(), flush=True)
"""


def run(how: plan.Plan) -> list[Figure]:
    """Measure in a namespace of its own."""
    whole = cluster.Cluster.up()
    with tempfile.TemporaryDirectory(dir=how.disk) as folder, space.created(whole, Path(folder)) as ns:
        bench = loop.Bench(ns, Path(folder), whole.agent_image(), whole.base_image())
        small = _replaced(_project(bench, "small"), how.runs)
        made = _project(bench, "large")
        files = how.trees.unpack("10k", made.folder / "web")
        return [
            Figure(scenario=NAME, name="new agent runs -> in sync (1 file)", unit="s", values=small, target=2.0),
            *_attached(bench, how.runs),
            *_first_syncs(made, how.runs),
            *_saves(made, files, how),
        ]


def _project(bench: loop.Bench, name: str) -> project.Project:
    """Make a project and a StatefulSet for it, whose pod keeps its name."""
    made = bench.laptop(name, services=loop.service(workload="statefulset/web"))
    plain = loop.deployment(bench.app_image, "/bin/sleep", "infinity")
    plain["kind"] = "StatefulSet"
    spec = plain["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    spec["containers"][0]["volumeMounts"] = [shapes.mount("scratch", "/scratch")]
    plain["spec"]["serviceName"] = "web"
    bench.ns.apply(*made.injected(plain, image=bench.agent_image))
    bench.ns.ready(POD)
    return made


# ---- pods and first syncs -------------------------------------------------------------------------------------------


def _replaced(made: project.Project, runs: int) -> tuple[float, ...]:
    """Return how long it took from the moment when a new pod's agent was seen running."""
    found = []
    with project.watching(made) as watch:
        for _ in range(runs):
            uid = _uid(made)
            made.where.admin("delete", "pod", POD, "--grace-period=1", "--wait=false")
            made.where.wait("pod", POD, lambda pod, uid=uid: _runs_anew(pod, uid), "the new agent")  # type: ignore[misc]
            runs_s = time.time()
            watch.until("link", lambda event: event["gone"])
            found.append(max(0.0, watch.until("sync_complete")["time"] - runs_s))
            made.where.ready(POD)
    return tuple(found)


def _uid(made: project.Project) -> str:
    return str(made.where.get("pod", POD)["metadata"]["uid"])


def _runs_anew(pod: dict[str, Any], uid: str) -> bool:
    return pod["metadata"]["uid"] != uid and "running" in space.container_state(pod, shapes.AGENT).get("state", {})


def _attached(bench: loop.Bench, runs: int) -> list[Figure]:
    """Attach to running pods that have no agent; nothing on a cluster without ephemeral containers."""
    ns = bench.ns
    if ns.cluster.version < cluster.Version(1, 25):
        return []
    plain = loop.deployment(bench.app_image, "/bin/sleep", "infinity")
    plain["metadata"]["name"] = PLAIN
    plain["spec"]["selector"]["matchLabels"] = plain["spec"]["template"]["metadata"]["labels"] = {"app": PLAIN}
    spec = plain["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "app", "emptyDir": {}}]
    spec["containers"][0]["volumeMounts"] = [shapes.mount("app", shapes.TO)]
    ns.apply(plain)
    services = loop.service(workload=f"deployment/{PLAIN}")
    found = []
    for number in range(runs):
        if number:
            ns.admin("rollout", "restart", f"deployment/{PLAIN}")
        ns.admin("rollout", "status", f"deployment/{PLAIN}", f"--timeout={lab.PATIENCE_S:.0f}s")
        made = project.Project(bench.folder / f"attach-{number}", ns, ns.developer("attach"), services)
        made.write("web/page.txt", "first")
        began_s = time.time()
        with made.watch("--attach", "--agent-image", bench.agent_image) as watch:
            found.append(watch.until("ready")["time"] - began_s)
    name = "start -> attached and in sync (1 file)"
    return [Figure(scenario=NAME, name=name, unit="s", values=tuple(found), target=5.0)]


def _first_syncs(made: project.Project, runs: int) -> list[Figure]:
    """Fill a new pod, and the same tree by tar into another folder of it, in turns."""
    ours, tar = [], []
    for number in range(runs):
        uid = _uid(made)
        made.where.admin("delete", "pod", POD, "--grace-period=1")
        made.where.wait("pod", POD, lambda pod, uid=uid: _runs_anew(pod, uid), "the new agent")  # type: ignore[misc]
        made.where.ready(POD)
        if number % 2:
            tar.append(_tar(made))
        began_s = time.time()
        with made.watch() as watch:
            ours.append(watch.until("ready")["time"] - began_s)
        if not number % 2:
            tar.append(_tar(made))
    told = {"unit": "s", "values": tuple(ours), "floors": tuple(tar), "floor_name": "tar | kubectl exec tar"}
    ratio = tuple(one / other for one, other in zip(ours, tar, strict=True))
    return [
        Figure(scenario=NAME, name="start -> first sync of 10k files", **told),  # type: ignore[arg-type]
        Figure(scenario=NAME, name="the same, in times of tar", unit="x", values=ratio, target=1.0),
    ]


def _tar(made: project.Project) -> float:
    began_s = time.monotonic()
    into = made.where.admin.argv("exec", "-i", POD, "-c", shapes.APP, "--", "tar", "-x", "-C", "/scratch")
    with subprocess.Popen(
        ["tar", "-c", "--exclude=.git", "-C", str(made.folder), "web"], stdout=subprocess.PIPE
    ) as packing:
        subprocess.run(into, stdin=packing.stdout, check=True, timeout=lab.PATIENCE_S)
    return time.monotonic() - began_s


# ---- saves ----------------------------------------------------------------------------------------------------------


def _saves(made: project.Project, files: Sequence[Path], how: plan.Plan) -> list[Figure]:
    with project.watching(made):
        lab.pause(3.0)
        edited = made.folder / "web" / "django" / plan.EDITED
        edited.write_text("#0")
        made.flush()
        rows = [_row(made, edited, 20 if how.quick else 200 // how.runs) for _ in range(how.runs)]
        bursts = [_burst(made, files, number) for number in range(how.runs)]
    figures = [
        Figure(
            scenario=NAME,
            name=f"saved -> seen in the container p{percent}",
            unit="ms",
            values=tuple(stats.percentile(row, percent) for row in rows),
            target=target,
        )
        for percent, target in ((50, 8.0), (95, 25.0))
    ]
    return [
        *figures,
        Figure(
            scenario=NAME,
            name="1,000 files rewritten -> all seen",
            unit="s",
            values=tuple(burst.whole_s for burst in bursts),
            target=0.4,
            floors=tuple(burst.alone_s for burst in bursts),
            floor_name="the writing alone",
        ),
        Figure(
            scenario=NAME,
            name="of that, after the last was written",
            unit="s",
            values=tuple(burst.after_s for burst in bursts),
        ),
    ]


class Burst(NamedTuple):
    """How long many files took, in seconds.

    Attributes:
        whole_s: From before the first was written until all were seen in the container.
        after_s: The part of it after the last was written.
        alone_s: Writing as many where nobody watches.
    """

    whole_s: float
    after_s: float
    alone_s: float


def _row(made: project.Project, edited: Path, count: int) -> list[float]:
    path = f"{shapes.TO}/{edited.relative_to(made.folder / 'web')}"
    with _inside(made, SEEN, path, str(count)) as told:
        found = []
        for _ in range(count):
            lab.pause(0.1)
            edited.write_text(f"#{time.monotonic_ns()}")
            found.append(float(next(told)))
    return found


def _burst(made: project.Project, files: Sequence[Path], number: int) -> Burst:
    lab.pause(3.0)
    source = made.folder / "web"
    small = [path for path in files if path.suffix == ".py" and path.stat().st_size < 100_000]
    # Always the same ones; this is no secret.
    chosen = random.Random(1).sample(small, FILES)
    names = "\n".join(f"{shapes.TO}/{path.relative_to(source)}" for path in chosen)
    contents = [path.read_bytes() + b"# rewritten %d\n" % number for path in chosen]
    alone_s = _written_aside(made.folder.parent / "aside", contents)
    with _inside(made, ALL_SEEN, given=names) as told:
        began_s = time.monotonic()
        written_s = _write(chosen, contents)
        seen_s = float(next(told))
    return Burst(seen_s - began_s, seen_s - written_s, alone_s)


def _written_aside(folder: Path, contents: Sequence[bytes]) -> float:
    """Return how long it takes to rewrite as many files of the same sizes beside the project."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.py" for number in range(len(contents))]
    if not paths[0].exists():
        _write(paths, contents)
        lab.pause(3.0)
    began_s = time.monotonic()
    return _write(paths, contents) - began_s


def _write(paths: Sequence[Path], contents: Sequence[bytes]) -> float:
    """Write files, and return when that was done."""
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return time.monotonic()


@contextlib.contextmanager
def _inside(made: project.Project, script: str, *arguments: str, given: str = "") -> Iterator[Iterator[str]]:
    """Run Python in the app's container, and yield its lines once it is ready."""
    argv = made.where.admin.argv("exec", "-i", POD, "-c", shapes.APP, "--", "python3", "-c", script, *arguments)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(given)
        process.stdin.close()
        lines = iter(process.stdout)
        if next(lines, "").strip() != "ready":
            raise SystemExit("nothing can be run in the container")
        yield lines
