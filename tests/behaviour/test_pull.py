"""`pull:` brings back the few files that it names, and never at the cost of the laptop's own."""

from __future__ import annotations

from pathlib import Path

from tests.behaviour import oracle, world
from tests.behaviour.conftest import Start

CONFIG = world.config('from: ./web, to: /app, pull: ["migrations/*.py"]')
FILES = {"web/migrations/0001.py": "first", "web/a.py": "1"}


def test_a_file_that_the_app_makes_is_pulled_and_not_sent_back(start: Start) -> None:
    subject = start(CONFIG, FILES)
    assert subject.settle() == "in sync"
    (subject.target / "app/migrations/0002.py").write_text("made by the app")
    (subject.target / "app/made.py").write_text("not asked for")
    assert subject.ask("pull", paths=[]) == [{"path": "migrations/0002.py", "conflict": ""}]
    assert (subject.project / "web/migrations/0002.py").read_text() == "made by the app"
    assert not (subject.project / "web/made.py").exists()
    assert subject.settle() == "in sync"
    sent = [path for event in subject.events("sync_started") if event["files"] for path in event["paths"]]
    assert "migrations/0002.py" not in sent
    # It is managed from now on: the laptop's next version is shipped.
    subject.write("web/migrations/0002.py", "edited")
    assert subject.settle() == "in sync"
    assert (subject.target / "app/migrations/0002.py").read_text() == "edited"


def test_a_file_that_the_app_changes_replaces_the_laptops_which_goes_to_the_trash(start: Start) -> None:
    subject = start(CONFIG, FILES)
    assert subject.settle() == "in sync"
    (subject.target / "app/migrations/0001.py").write_text("by the app")
    assert [row["path"] for row in subject.ask("pull", paths=[])] == ["migrations/0001.py"]
    assert (subject.project / "web/migrations/0001.py").read_text() == "by the app"
    kept = [path for path in Path(subject.places.trash).rglob("*") if path.is_file()]
    assert any(path.read_bytes() == b"first" for path in kept), kept
    assert subject.settle() == "in sync"
    assert not world.differences(subject, [oracle.SyncSpec("web", "/app")], oracle.Hasher())


def test_where_both_changed_the_laptops_stays_and_the_targets_is_kept_beside(start: Start) -> None:
    subject = start(CONFIG, FILES)
    assert subject.settle() == "in sync"
    subject.ask("pause")
    subject.write("web/migrations/0001.py", "by the user")
    subject.flush(0.5)
    (subject.target / "app/migrations/0001.py").write_text("by the app")
    (row,) = subject.ask("pull", paths=[])
    assert row["path"] == "migrations/0001.py"
    assert row["conflict"]
    assert (subject.project / "web/migrations/0001.py").read_text() == "by the user"
    conflicts = [path for path in subject.project.rglob(".devloop/conflicts/**/*") if path.is_file()]
    assert [path.read_text() for path in conflicts] == ["by the app"]
    subject.ask("resume")
    assert subject.settle() == "in sync"
    assert (subject.target / "app/migrations/0001.py").read_text() == "by the user"


def test_a_deletion_is_never_pulled(start: Start) -> None:
    subject = start(CONFIG, FILES)
    assert subject.settle() == "in sync"
    (subject.target / "app/migrations/0001.py").unlink()
    assert subject.ask("pull", paths=[]) == []
    assert (subject.project / "web/migrations/0001.py").read_text() == "first"
