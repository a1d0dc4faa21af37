"""`devloop shell`: the shell that there is, in the synced folder."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli import laptop


def test_the_images_shell_takes_commands_from_a_pipe(tmp_path: Path) -> None:
    with laptop.made(tmp_path) as mine:
        (tmp_path / "devloop.yaml").write_text(
            laptop.PROJECT.replace("to: /app}]}\n  here", f"to: {tmp_path}}}]}}\n  here")
        )
        done = mine.run("shell", "web", told="pwd; exit 7\n")
        assert (done.returncode, done.stdout.strip()) == (7, str(tmp_path))
        done = mine.run("shell")
        assert done.returncode == 2 and "web, here" in done.stderr


def test_one_service_need_not_be_named(tmp_path: Path) -> None:
    with laptop.made(tmp_path) as mine:
        lines = laptop.PROJECT.splitlines(keepends=True)
        (tmp_path / "devloop.yaml").write_text("".join(lines[:4]))
        done = mine.run("shell", told="echo $((40+2))\n")
        assert (done.returncode, done.stdout) == (0, "42\n") and "there is no folder /app" in done.stderr


def test_without_any_shell_the_way_to_one_is_told(tmp_path: Path) -> None:
    with laptop.made(tmp_path, lacks=("sh",)) as mine:
        done = mine.run("shell", "web")
        assert done.returncode == 1 and "the image of web has no shell" in done.stderr
        assert "reload: supervise" in done.stderr and "kubectl debug" in done.stderr


def test_here_it_is_the_targets_folder(tmp_path: Path) -> None:
    with laptop.made(tmp_path) as mine:
        (tmp_path / "t/app").mkdir(parents=True)
        done = mine.run("shell", "here", told="pwd; echo $A; exit 4\n")
        assert (done.returncode, done.stdout) == (4, f"{tmp_path}/t/app\n1\n")
