"""`include:` ships built output that git ignores; what git ignores besides stays at home."""

from __future__ import annotations

from tests.behaviour import world
from tests.behaviour.conftest import Start


def test_ignored_output_that_is_included_is_shipped_changed_and_deleted(start: Start) -> None:
    subject = start(
        world.config('from: ./web, to: /app, include: ["dist/**"]'),
        {
            ".gitignore": "dist/\n*.log\n",
            "web/a.py": "1",
            "web/dist/js/x.js": "1",
            "web/b.log": "1",
            "web/lib/dist/y": "1",
        },
    )
    assert subject.settle() == "in sync"
    app = subject.target / "app"
    assert (app / "dist/js/x.js").read_text() == "1"
    assert not (app / "b.log").exists()
    assert not (app / "lib/dist").exists()
    subject.write("web/dist/js/x.js", "2")
    subject.write("web/dist/new/deep/z.js", "2")
    subject.write("web/dist/debug.log", "2")
    assert subject.settle() == "in sync"
    assert (app / "dist/js/x.js").read_text() == "2"
    assert (app / "dist/new/deep/z.js").read_text() == "2"
    assert (app / "dist/debug.log").read_text() == "2"
    (subject.project / "web/dist/js/x.js").unlink()
    assert subject.settle() == "in sync"
    assert not (app / "dist/js/x.js").exists()
