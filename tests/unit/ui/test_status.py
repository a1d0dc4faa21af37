"""What `devloop status` prints."""

from __future__ import annotations

from devloop.sync import events
from devloop.sync import status as values
from devloop.ui import status


def service(name: str, state: str, **changes: object) -> values.ServiceStatus:
    fields: dict[str, object] = {
        "name": name,
        "state": state,
        "targets": (values.TargetStatus(f"{name}-0", up=True, synced=True),),
        "syncs": (values.SyncStatus(f"./{name}", "/app", 1312, 4_100_000, "ab", "inotify, 31 folders"),),
        "app": None,
        "held": 0,
        "pending": 0,
        "problems": (),
        "problem_count": 0,
        "saves": 0,
        "save_p50_ms": 0.0,
        "save_p95_ms": 0.0,
        **changes,
    }
    return values.ServiceStatus(**fields)  # type: ignore[arg-type]


def project(*services: values.ServiceStatus, paused: bool = False) -> values.ProjectStatus:
    return values.ProjectStatus("shop", "/home/mia/shop", 4100, "0.1.0", 1000.0, paused, services)


def test_all_is_well() -> None:
    app = values.AppStatus("running", 4242, 2)
    shown = status.render(
        project(
            service("web", "in sync", app=app, saves=12, save_p50_ms=4.2, save_p95_ms=11.0),
            service("db-long", "syncing"),
        ),
        now_s=1125.0,
    )
    assert shown == (
        "shop  /home/mia/shop  watching for 2 min 5 s, pid 4100\n"
        "\n"
        "SERVICE  STATE    FILES           SAVES  P50   P95    APP\n"
        "web      in sync  1,312 (4.1 MB)  12     4 ms  11 ms  running (pid 4242, start 2)\n"
        "db-long  syncing  1,312 (4.1 MB)  0      -     -      -"
    )


def test_what_is_wrong_stands_below_its_service() -> None:
    problems = tuple(events.ProblemRow(f"f{number}", "io", "broken", "pod") for number in range(12))
    troubled = service(
        "web",
        "held",
        targets=(
            values.TargetStatus("pod-1", up=False, synced=False, detail="connection refused"),
            values.TargetStatus("pod-2", up=True, synced=False, drift=2, extra=1),
        ),
        syncs=(values.SyncStatus("./web", "/app", 0, 0, "ab", "inotify", stopped="is empty"),),
        app=values.AppStatus("crashed", 0, 3, "exit 1"),
        held=120,
        pending=4,
        problems=problems,
        problem_count=300,
    )
    lines = status.render(project(troubled, service("api", "in sync"), paused=True), now_s=1000.0).splitlines()
    assert "paused: go on with `devloop resume`" in lines[0]
    notes = lines[lines.index("web:") + 1 :]
    assert notes == [
        "  stopped ./web -> /app: is empty",
        "  no link to pod-1: connection refused",
        "  pod-2 is not in sync yet",
        "  2 paths changed by somebody else in pod-2: see `devloop diff`",
        "  1 path in pod-2 that devloop does not know: see `devloop diff`",
        "  4 paths not acked yet",
        "  120 deletions wait for approval: press a, or run `devloop approve`",
        *[f"  f{number}: broken (io, pod side)" for number in range(10)],
        "  … and 290 more problems: see `devloop status -o json`",
    ]


def test_colours_do_not_disturb_the_columns() -> None:
    some = project(service("web", "in sync"), service("漢字", "build failed"), service("caf\udce9", "what is new"))
    plain = status.render(some, now_s=1000.0)
    coloured = status.render(some, now_s=1000.0, color=True)
    assert "\x1b" not in plain
    for code in range(120):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert [line.rstrip() for line in coloured.splitlines()] == plain.splitlines()
    rows = plain.splitlines()[2:]
    # Two wide characters take four columns.
    assert rows[0].index("STATE") == rows[1].index("in sync") == rows[2].index("build failed") + 2


def test_names_are_one_a_line() -> None:
    assert status.names(project(service("web", "in sync"), service("db", "held"))) == ["web", "db"]


def test_why_there_is_nobody_to_sync_to_and_how_a_pod_is_without_a_link() -> None:
    waiting = "the agent waits: ContainerCreating"
    targets = (
        values.TargetStatus("pod-1", up=False, synced=False, detail="not connected yet", state=waiting),
        values.TargetStatus("pod-2", up=False, synced=False, detail="no agent in it", state="no agent in it"),
    )
    shown = service("web", "connecting", targets=targets, why="deployment/web has no pods")
    lines = status.render(project(shown), now_s=1000.0).splitlines()
    assert lines[lines.index("web:") + 1 :] == [
        "  deployment/web has no pods",
        f"  no link to pod-1: {waiting}",
        "  no link to pod-2: no agent in it",
    ]
