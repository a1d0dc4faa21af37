"""What an agent tells, as people see it."""

from __future__ import annotations

from devloop.daemon import telling
from devloop.protocol import messages
from devloop.sync import events


def shown(message: telling.Told) -> events.Event:
    return telling.event_of(message, lambda line: line.replace("/app/", "web/"))


def test_output_names_the_laptops_files_line_by_line() -> None:
    said = messages.Output(1, "app", True, 2, b"at /app/x.py\n\nend\n")
    assert shown(said) == events.Output(source="app", lines=("at web/x.py", "", "end"), err=True, dropped=2)


def test_output_that_is_no_text_is_shown_all_the_same() -> None:
    event = shown(messages.Output(1, "app", False, 0, b"\xff\n"))
    assert isinstance(event, events.Output)
    assert event.lines == ("\ufffd",)


def test_the_app_and_its_hooks() -> None:
    assert shown(messages.AppChanged("running", 42, 3, "again")) == events.AppChanged(
        phase="running", pid=42, starts=3, detail="again"
    )
    assert shown(messages.HookStarted("install")) == events.CommandStarted(name="install")
    assert shown(messages.HookDone("install", False, "exit 1", 12)) == events.CommandDone(
        name="install", ok=False, outcome="exit 1", ms=12
    )
