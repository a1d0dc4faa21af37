"""The table of forwards."""

from __future__ import annotations

from devloop.sync import status
from devloop.ui import ports


def test_each_forward_is_a_line_and_each_error_another() -> None:
    rows = [
        status.ForwardStatus(
            "ports", "web", "localhost:8000", "pod port 80", "listening", "agent", "web-1", 2, 1, 1234, 10, 2048
        ),
        status.ForwardStatus("reverse", "web", "localhost:9003", "pod port 9003", "waiting"),
        status.ForwardStatus(
            "forwards", "", "localhost:5432", "db:5432", "failed", error="taken\x1b[2J", code="DL0370"
        ),
    ]
    text = ports.render(rows)
    head, first, second, third, _, error = text.split("\n")
    assert head.split() == ["NAME", "LOCAL", "TO", "STATE", "BY", "POD", "OPEN", "TOTAL", "SENT", "RECEIVED"]
    assert "web       localhost:8000  ->  pod port 80" in first and "2 (1 waiting)  1,234" in first
    assert "<-" in second and third.startswith("forwards  localhost:5432  ->  db:5432")
    assert error.startswith("localhost:5432: last error[DL0370]: taken") and "\x1b" not in text
    assert "\x1b[" in ports.render(rows, color=True)


def test_nothing_is_told_with_what_to_do() -> None:
    assert "devloop ports add" in ports.render([])
