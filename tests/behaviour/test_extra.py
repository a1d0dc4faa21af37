"""`extra: delete`: what somebody leaves in the target goes; what is protected or asked for stays."""

from __future__ import annotations

from tests.behaviour import world
from tests.behaviour.conftest import Start

CONFIG = world.config('from: ./web, to: /app, extra: delete, ignore: ["*.pyc"], pull: ["*.lock"]')


def leave_things(subject: world.World) -> None:
    app = subject.target / "app"
    (app / "left/behind").mkdir(parents=True)
    (app / "left/behind/x").write_text("?")
    (app / "a.pyc").write_text("protected")
    (app / "uv.lock").write_text("asked for")
    (app / "out").symlink_to(subject.project)


def expect_them_gone(subject: world.World) -> None:
    app = subject.target / "app"
    world.until(lambda: sorted(path.name for path in app.iterdir()) == ["a.py", "a.pyc", "uv.lock"], "the deletion")
    world.until((subject.project / "web/uv.lock").exists, "the pull")
    assert subject.settle() == "in sync"
    assert (subject.project / "web/a.py").exists()


def test_what_is_left_in_the_target_goes(start: Start) -> None:
    subject = start(CONFIG, {"web/a.py": "1"})
    assert subject.settle() == "in sync"
    leave_things(subject)
    subject.ask("diff")
    expect_them_gone(subject)


def test_what_was_left_while_nobody_watched_goes_too(start: Start) -> None:
    subject = start(CONFIG, {"web/a.py": "1"})
    assert subject.settle() == "in sync"
    subject.stop()
    leave_things(subject)
    subject.start()
    expect_them_gone(subject)


def test_what_is_left_in_the_target_stays_unless_it_was_given_up(start: Start) -> None:
    subject = start(world.config("from: ./web, to: /app"), {"web/a.py": "1"})
    assert subject.settle() == "in sync"
    (subject.target / "app/x").write_text("?")
    assert [row["path"] for row in subject.ask("diff")] == ["x"]
    assert subject.settle() == "in sync"
    assert (subject.target / "app/x").exists()
