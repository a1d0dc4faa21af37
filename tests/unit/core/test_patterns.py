"""Lists of patterns in the configuration."""

import pytest

from devloop.core import patterns


@pytest.mark.parametrize(
    ("lines", "path", "matches"),
    [
        ([], "a", False),
        (["requirements.txt"], "requirements.txt", True),
        (["requirements.txt"], "deep/requirements.txt", True),
        (["/requirements.txt"], "deep/requirements.txt", False),
        (["src/**"], "src/a/b.py", True),
        (["src/**"], "other/src/a.py", False),
        (["migrations/*.py"], "migrations/0001.py", True),
        (["migrations/*.py"], "app/migrations/0001.py", False),
        (["*.py", "!test_*.py"], "test_a.py", False),
        (["build/"], "build/x/y", True),
    ],
)
def test_patterns_read_like_gitignore(lines: list[str], path: str, matches: bool) -> None:
    assert patterns.Patterns(lines).match(path) is matches
