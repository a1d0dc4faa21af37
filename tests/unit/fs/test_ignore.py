"""What a sync ignores, on real repositories."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from devloop.core import matcher, rules
from devloop.fs import gitrepo, ignore
from tests.unit.fs import gitbox


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gitbox.isolate(monkeypatch, tmp_path / "home")


def loaded(root: Path, *, hide: tuple[str, ...] = (), include: tuple[str, ...] = ()) -> ignore.Ignore:
    subject = ignore.Ignore(str(root), ignore=hide, include=include)
    subject.load()
    return subject


def walk(subject: ignore.Ignore, root: Path) -> tuple[set[str], set[str]]:
    """Return the files that are shipped, and the folders that were walked, as a scan does it."""
    shipped: set[str] = set()
    walked = [""]
    for folder in walked:
        names = sorted(os.listdir(root / folder))
        subject.enter(folder, names)
        for name in names:
            path = f"{folder}/{name}" if folder else name
            is_folder = (root / path).is_dir() and not (root / path).is_symlink()
            if is_folder and subject.may_descend(path):
                walked.append(path)
            elif not is_folder and not subject.ignored(path, False).ignored:
                shipped.add(path)
    return shipped, set(walked) - {""}


def shipped_by_git(root: Path) -> set[str]:
    """Return what git would keep: tracked files and those that are neither tracked nor ignored."""
    command = ["git", "ls-files", "-z", "-c", "-o", "--exclude-standard"]
    out = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
    return {os.fsdecode(raw) for raw in out.split(b"\0")[:-1]}


def why(subject: ignore.Ignore, path: str, *, is_folder: bool = False) -> str:
    rule = subject.ignored(path, is_folder).rule
    return rule.location() if rule else ""


# what git says


def test_a_walk_ships_what_git_would_keep(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {"kept/a.log": "", "kept/b.py": "", "forced/x.bin": ""})
    gitbox.write(
        root,
        {
            ".gitignore": "*.log\n/build/\nforced/\n!important.log\n",
            "web/.gitignore": "!b.log\nnode_modules\n",
            "web/a.log": "",
            "web/b.log": "",
            "web/node_modules/.gitignore": "!*",
            "web/node_modules/x": "",
            "important.log": "",
            "build/important.log": "",
            "forced/y.bin": "",
            "sub/build/z": "",
            "ä ü/ö.log": "",
            "ä ü/ö": "",
        },
    )
    shipped, walked = walk(loaded(root), root)
    assert shipped == shipped_by_git(root)
    assert "forced/x.bin" in shipped and "forced/y.bin" not in shipped
    assert "forced" in walked and not walked & {"build", "web/node_modules", ".git"}


def test_every_source_is_named_with_its_line(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {"web/.gitignore": "\n# no\n*.x\n", ".gitignore": "*.y\n"})
    (root / ".git" / "info" / "exclude").write_text("# one\n*.z\n")
    gitbox.write(tmp_path / "home", {".config/git/ignore": "*.g\n"})
    gitbox.write(root, {"web/.devloopignore": "*.d\n"})
    subject = loaded(root, hide=("*.c0", "*.c"))
    assert why(subject, "web/a.x") == "web/.gitignore:3"
    assert why(subject, "web/a.y") == ".gitignore:1"
    assert why(subject, "web/a.z") == ".git/info/exclude:2"
    assert why(subject, "web/a.g") == "~/.config/git/ignore:1"
    assert why(subject, "web/a.d") == "web/.devloopignore:1"
    assert why(subject, "web/a.c") == "devloop.yaml: ignore:2"
    assert why(subject, "web/a~") == "built-in:3"
    assert why(subject, ".git", is_folder=True) == "built-in"
    assert why(subject, "web/a") == ""


def test_the_layers_outrank_each_other_in_order(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r")
    path = "a~"
    subject = loaded(root)
    assert why(subject, path) == "built-in:3"
    steps = [
        (tmp_path / "home" / ".config" / "git" / "ignore", "!a~\n", "~/.config/git/ignore:1"),
        (root / ".git" / "info" / "exclude", "a~\n", ".git/info/exclude:1"),
        (root / ".gitignore", "!a~\n", ".gitignore:1"),
        (root / ".devloopignore", "a~\n", ".devloopignore:1"),
    ]
    for file, content, expected in steps:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        assert subject.refresh()
        assert why(subject, path) == expected
        assert subject.ignored(path, False).ignored == (content[0] != "!")
    assert why(loaded(root, hide=("!a~",)), path) == "devloop.yaml: ignore:1"
    assert why(loaded(root, hide=("a~",), include=("a~",)), path) == "devloop.yaml: include:1"


def test_tracked_files_stay_whatever_git_ignores_but_devloops_own_rules_hide_them(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {"out/a.js": "", "out/b.js": "", "x~": "", "out/deep/c.js": ""})
    gitbox.write(root, {".gitignore": "out/\n", "out/new.js": ""})
    subject = loaded(root)
    assert not subject.ignored("out/a.js", False).ignored
    assert not subject.ignored("x~", False).ignored
    assert subject.ignored("out/new.js", False).ignored
    assert subject.ignored("out", True).ignored and subject.may_descend("out") and subject.may_descend("out/deep")
    gitbox.write(root, {".devloopignore": "b.js\nout/deep\n"})
    assert subject.refresh()
    assert not subject.ignored("out/a.js", False).ignored
    assert subject.ignored("out/b.js", False).ignored
    assert subject.ignored("out/deep/c.js", False).ignored
    assert not subject.may_descend("out/deep")
    assert loaded(root, hide=("out/",)).ignored("out/a.js", False).ignored


def test_adding_by_force_and_removing_from_the_index_flip_a_path(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {".gitignore": "*.log\ncache/\n"})
    gitbox.write(root, {"a.log": "", "cache/x": ""})
    subject = loaded(root)
    assert subject.ignored("a.log", False).ignored and not subject.may_descend("cache")
    gitbox.git(root, "add", "-f", "a.log", "cache/x")
    assert subject.is_source(".git/index")
    assert subject.refresh([".git/index"])
    assert not subject.ignored("a.log", False).ignored
    assert not subject.ignored("cache/x", False).ignored and subject.may_descend("cache")
    gitbox.git(root, "rm", "-q", "--cached", "a.log", "cache/x")
    assert subject.refresh([".git/index"])
    assert subject.ignored("a.log", False).ignored and not subject.may_descend("cache")


def test_adding_what_no_rule_ignores_changes_no_rules(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {".gitignore": "*.log\n"})
    subject = loaded(root)
    gitbox.write(root, {"new/a.py": ""})
    gitbox.git(root, "add", "-A")
    assert not subject.refresh()
    assert subject.explain("new/a.py").tracked


def test_rules_above_a_root_in_a_subfolder_hold_but_never_for_the_root(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r")
    gitbox.write(
        top,
        {
            ".gitignore": "/a/web/dist\nweb/\n/b\n",
            "a/.gitignore": "web/*.log\n",
            "a/.devloopignore": "/web/hidden\n",
            "a/web/.gitignore": "/own\n",
        },
    )
    (top / ".git" / "info" / "exclude").write_text("/a/web/excluded\n")
    subject = loaded(top / "a" / "web", hide=("/c",))
    assert why(subject, "dist", is_folder=True) == "../../.gitignore:1"
    assert why(subject, "x.log") == "../.gitignore:1"
    assert why(subject, "hidden") == "../.devloopignore:1"
    assert why(subject, "excluded") == "../../.git/info/exclude:1"
    assert why(subject, "own") == ".gitignore:1"
    assert why(subject, "c") == "devloop.yaml: ignore:1"
    assert why(subject, "web", is_folder=True) == "../../.gitignore:2"
    assert not subject.ignored("b", False).ignored
    assert subject.may_descend("")
    assert subject.is_source(str(top / "a" / ".gitignore"))
    gitbox.write(top, {"a/.gitignore": ""})
    assert subject.refresh([str(top / "a" / ".gitignore")])
    assert why(subject, "x.log") == ""


def test_a_worktree_uses_its_own_index_and_the_shared_exclude_file(tmp_path: Path) -> None:
    main = gitbox.repository(tmp_path / "r", {"a.log": ""})
    gitbox.git(main, "worktree", "add", "-q", "-b", "side", "../side")
    (main / ".git" / "info" / "exclude").write_text("*.log\n")
    side = tmp_path / "side"
    gitbox.git(side, "rm", "-q", "--cached", "a.log")
    subject = loaded(side)
    assert subject.ignored("a.log", False).ignored
    assert not loaded(main).ignored("a.log", False).ignored
    assert subject.ignored(".git", False).ignored
    assert subject.is_source(str(main / ".git" / "worktrees" / "side" / "index"))
    assert subject.is_source(str(main / ".git" / "info" / "exclude"))


def test_a_submodule_has_its_own_rules_and_index(tmp_path: Path) -> None:
    gitbox.repository(tmp_path / "inner", {"kept.log": "", "x.tmp": "", ".gitignore": "*.tmp\n/only\n"})
    root = gitbox.repository(tmp_path / "r", {".gitignore": "*.log\n*.py\nlibs/\n"})
    gitbox.git(root, "submodule", "add", "-q", "-f", "../inner", "libs/sub")
    gitbox.write(root, {"libs/sub/new.log": "", "libs/sub/new.tmp": "", "libs/other": "", "libs/sub/only": ""})
    subject = loaded(root, hide=("*.secret",))
    shipped, walked = walk(subject, root)
    assert shipped == {
        ".gitignore",
        ".gitmodules",
        "libs/sub/.gitignore",
        "libs/sub/kept.log",
        "libs/sub/new.log",
        "libs/sub/x.tmp",
    }
    assert walked == {"libs", "libs/sub"}
    assert subject.ignored("libs/sub/a.secret", False).ignored
    assert why(subject, "libs/sub/new.tmp") == "libs/sub/.gitignore:1"
    gitbox.git(root / "libs" / "sub", "rm", "-q", "--cached", "x.tmp")
    assert subject.refresh()
    assert subject.ignored("libs/sub/x.tmp", False).ignored


def test_a_clone_within_a_clone_is_seen_with_its_own_eyes(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {".gitignore": "*.log\n"})
    inner = gitbox.repository(root / "vendor" / "lib", {".gitignore": "/gen\n"})
    (inner / ".git" / "info" / "exclude").write_text("/private\n")
    gitbox.write(tmp_path / "home", {".config/git/ignore": "/global\n"})
    gitbox.write(inner, {"gen": "", "private": "", "global": "", "a.log": ""})
    subject = loaded(root)
    shipped, _ = walk(subject, root)
    assert shipped == {".gitignore", "vendor/lib/.gitignore", "vendor/lib/a.log"}
    assert subject.is_source("vendor/lib/.git/index") and subject.is_source("vendor/lib/.git")
    subprocess.run(["rm", "-rf", inner / ".git"], check=True)
    assert subject.refresh(["vendor/lib/.git"])
    assert subject.ignored("vendor/lib/a.log", False).ignored
    assert not subject.ignored("vendor/lib/private", False).ignored


def test_a_broken_git_folder_below_the_root_is_passed_over(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {".gitignore": "*.log\n"})
    gitbox.write(root, {"sub/.git/HEAD": "nonsense", "sub/a.log": "", "sub/b": ""})
    subject = loaded(root)
    assert walk(subject, root)[0] == {".gitignore", "sub/b"}


def test_ignorecase_is_followed_and_a_changed_configuration_starts_over(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {".gitignore": "*.LOG\n", "web/x": ""})
    subject = loaded(root)
    assert not subject.ignored("web/a.log", False).ignored
    gitbox.git(root, "config", "core.ignorecase", "true")
    assert subject.is_source(".git/config")
    assert subject.refresh()
    assert subject.ignored("web/a.log", False).ignored
    gitbox.git(root, "config", "some.thing", "else")
    assert not subject.refresh()


def test_a_global_ignore_file_elsewhere_is_followed(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r")
    gitbox.write(tmp_path / "home", {"mine": "*.m\n"})
    (tmp_path / "home" / "link").symlink_to("mine")
    gitbox.git(root, "config", "--global", "core.excludesFile", "~/link")
    subject = loaded(root)
    assert why(subject, "a.m") == "~/link:1"
    assert subject.is_source(str(tmp_path / "home" / "link"))
    assert subject.is_source(str(tmp_path / "home" / ".gitconfig"))


def test_names_that_are_not_utf8_are_matched_byte_by_byte(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r")
    folder, file = os.fsdecode(b"d\xe9"), os.fsdecode(b"x\xff")
    (root / folder).mkdir()
    (root / folder / file).write_text("")
    (root / folder / "xyz").write_text("")
    (root / ".gitignore").write_bytes(b"x\xff\n")
    (root / folder / ".gitignore").write_bytes(b"x??\n")
    subject = loaded(root)
    assert walk(subject, root)[0] == shipped_by_git(root)
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(subject.rule_set()), type=rules.RuleSet)
    assert decoded == subject.rule_set()
    assert matcher.Matcher(decoded).verdict(f"{folder}/{file}", False).ignored


# devloop's own layers


@pytest.mark.parametrize(
    "name",
    [
        "4913", ".a.py.swp", ".a.py.swo", ".a.py.swx", "a.swp", "a.py~", ".#a.py", "#a.py#", "a.py___jb_tmp___",
        "a.py___jb_old___", ".a.py.kate-swp", ".goutputstream-X1Y2Z3", "a-go-tmp-umask", ".DS_Store",
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["", "web/src/"])
def test_editors_temporary_files_are_ignored_but_folders_so_named_are_not(
    name: str, place: str, tmp_path: Path
) -> None:
    subject = loaded(tmp_path)
    verdict = subject.ignored(place + name, False)
    assert verdict.ignored and verdict.rule is not None and verdict.rule.source == "built-in"
    assert not subject.ignored(place + name, True).ignored


@pytest.mark.parametrize("name", ["a.py", "49130", "swp", "a~b", "#a", "a#", ".goutput", "jb_tmp", ".vscode", ".#/x"])
def test_other_files_are_not_taken_for_temporary_ones(name: str, tmp_path: Path) -> None:
    assert not loaded(tmp_path).ignored(name, False).ignored


@pytest.mark.parametrize("path", [".git", ".devloop", "a/.git", "a/.devloop", ".git/config", "a/.devloop/x/y"])
def test_gits_and_devloops_own_folders_are_never_entries(path: str, tmp_path: Path) -> None:
    subject = loaded(gitbox.repository(tmp_path / "r"), include=("*", "**", ".git", ".devloop/**"))
    assert subject.ignored(path, False).ignored and subject.ignored(path, True).ignored
    assert not subject.may_descend(path)


def test_include_ships_build_output_from_an_ignored_folder(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {".gitignore": "dist/\nnode_modules/\n*.map\n"})
    gitbox.write(root, {"dist/js/a.js": "", "dist/a.map": "", "node_modules/x/dist/y": "", "web/dist/z": ""})
    shipped, walked = walk(loaded(root, include=("dist/**",)), root)
    assert shipped == {".gitignore", "dist/js/a.js", "dist/a.map"}
    assert walked == {"dist", "dist/js", "web"}
    shipped, _ = walk(loaded(root, include=("dist/**", "!*.map")), root)
    assert shipped == {".gitignore", "dist/js/a.js"}
    shipped, walked = walk(loaded(root, include=("dist",), hide=("dist",)), root)
    assert shipped == {".gitignore", "dist/js/a.js", "dist/a.map", "web/dist/z"}
    assert "node_modules" not in walked


def test_include_looks_no_further_than_its_pattern_leads(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {".gitignore": "out/\n.env\n"})
    gitbox.write(
        root, {".env": "", "out/a/x.js": "", "out/a/x.c": "", "out/b/y.js": "", "out/.env": "", "out/z.js": ""}
    )
    subject = loaded(root, include=("out/a/*.js", ".env"))
    shipped, walked = walk(subject, root)
    assert shipped == {".gitignore", ".env", "out/.env", "out/a/x.js"}
    assert walked == {"out", "out/a"}
    assert subject.ignored("out/b/.env", False).ignored


def test_outside_a_repository_the_files_below_the_root_hold(tmp_path: Path) -> None:
    gitbox.write(tmp_path, {".gitignore": "*.above\n"})
    root = tmp_path / "r"
    gitbox.write(root, {".gitignore": "*.log\n", "web/.gitignore": "!b.log\n", "web/.devloopignore": "*.py\n"})
    subject = loaded(root, hide=("*.c",))
    assert isinstance(subject.repo, gitrepo.NoRepo) and not subject.problems
    assert subject.ignored("a.log", False).ignored and not subject.ignored("web/b.log", False).ignored
    assert subject.ignored("web/a.py", False).ignored and subject.ignored("x.c", False).ignored
    assert not subject.ignored("x.above", False).ignored


def test_a_repository_made_later_is_noticed(tmp_path: Path) -> None:
    root = tmp_path / "r"
    gitbox.write(root, {"a.log": "", ".gitignore": "*.log\n"})
    subject = loaded(root)
    gitbox.git(root, "init", "-q")
    gitbox.git(root, "add", "-f", "a.log")
    assert subject.is_source(".git")
    assert subject.refresh([".git"])
    assert not subject.ignored("a.log", False).ignored


# changes, and trouble


def test_a_nested_ignore_file_is_reloaded_when_it_changes_appears_and_goes(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {"web/src/a": ""})
    subject = loaded(root)
    digest = subject.rule_set().digest
    assert not subject.ignored("web/src/x.log", False).ignored
    gitbox.write(root, {"web/.gitignore": "*.log\n"})
    assert subject.is_source("web/.gitignore")
    assert subject.refresh(["web/.gitignore"])
    assert subject.ignored("web/src/x.log", False).ignored
    assert subject.rule_set().digest != digest
    gitbox.write(root, {"web/.gitignore": "*.lag\n"})
    assert subject.refresh()
    assert not subject.ignored("web/src/x.log", False).ignored
    assert not subject.refresh()
    (root / "web" / ".gitignore").unlink()
    assert subject.refresh(["web/.gitignore"])
    assert subject.rule_set().digest == digest


def test_touching_an_ignore_file_changes_no_rules(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {".gitignore": "*.log\n"})
    subject = loaded(root)
    os.utime(root / ".gitignore", (1, 1))
    assert not subject.refresh()


def test_a_folder_that_is_gone_takes_its_rules_along(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {"a": ""})
    gitbox.write(root, {"web/.gitignore": "*.log\n", "web/x/.gitignore": "*.py\n"})
    subject = loaded(root)
    walk(subject, root)
    digest = loaded(root).rule_set().digest
    (root / "web").rename(tmp_path / "elsewhere")
    subject.forget("web")
    assert subject.rule_set().digest == digest
    gitbox.write(root, {"web/y": ""})
    assert not subject.ignored("web/y.log", False).ignored


def test_only_what_can_change_the_rules_is_a_source(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {".gitignore": "skipped/\n"})
    subject = loaded(root)
    for path in (".gitignore", ".devloopignore", "a/b/.gitignore", ".git/index", ".git/info/exclude", ".git/config"):
        assert subject.is_source(path), path
    for path in (
        "a",
        "a.gitignore",
        ".git/HEAD",
        ".git/index.lock",
        "skipped/.gitignore",
        str(tmp_path / ".gitignore"),
    ):
        assert not subject.is_source(path), path


def _folder(path: Path) -> None:
    path.mkdir()


def _link(path: Path) -> None:
    (path.parent / "target").write_text("*.py\n")
    path.symlink_to("target")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5 * 1024 * 1024)


@pytest.mark.parametrize("spoil", [_folder, _link, _pipe, _huge])
def test_an_unreadable_ignore_file_is_a_problem_and_keeps_its_rules(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    root = gitbox.repository(tmp_path / "r", {"web/.gitignore": "*.log\n"})
    subject = loaded(root)
    assert subject.ignored("web/a.log", False).ignored
    (root / "web" / ".gitignore").unlink()
    spoil(root / "web" / ".gitignore")
    assert not subject.refresh()
    assert [found.path for found in subject.problems] == ["web/.gitignore"]
    assert "are kept" in subject.problems[0].detail
    assert subject.ignored("web/a.log", False).ignored
    assert not subject.ignored("web/a.py", False).ignored


def test_a_problem_is_over_when_the_file_is_readable_again(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r")
    (root / ".gitignore").mkdir()
    subject = loaded(root)
    assert [found.path for found in subject.problems] == [".gitignore"]
    (root / ".gitignore").rmdir()
    gitbox.write(root, {".gitignore": "*.log\n"})
    assert subject.refresh()
    assert [found.path for found in subject.problems] == []
    assert subject.ignored("a.log", False).ignored


def test_a_damaged_index_keeps_the_old_one_and_is_a_problem(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {"a.log": "", ".gitignore": "*.log\n"})
    subject = loaded(root)
    whole = (root / ".git" / "index").read_bytes()
    (root / ".git" / "index").write_bytes(b"damaged")
    assert not subject.refresh()
    assert len(subject.problems) == 1
    assert not subject.ignored("a.log", False).ignored
    (root / ".git" / "index").write_bytes(whole)
    assert not subject.refresh()
    assert not subject.problems


def test_a_damaged_index_at_the_start_is_an_error(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {"a": ""})
    (root / ".git" / "index").write_bytes(b"damaged")
    with pytest.raises(gitrepo.GitError):
        loaded(root)


def test_a_git_that_is_lost_later_keeps_its_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = gitbox.repository(tmp_path / "r", {"a.log": "", ".gitignore": "*.log\n"})
    subject = loaded(root)
    gitbox.git(root, "config", "some.thing", "else")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not subject.refresh()
    assert len(subject.problems) == 1
    assert not subject.ignored("a.log", False).ignored


def test_without_git_the_ignore_files_hold_and_a_problem_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = gitbox.repository(tmp_path / "r", {"web/.gitignore": "*.log\n"})
    monkeypatch.setenv("PATH", str(tmp_path))
    subject = loaded(root)
    assert subject.ignored("web/a.log", False).ignored
    assert "git is not on PATH" in subject.problems[0].detail


def test_another_users_repository_is_a_problem_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = gitbox.repository(tmp_path / "r", {"a": ""})
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    subject = loaded(root)
    assert "safe.directory" in subject.problems[0].detail


# what people and the agent are told


def _reasons(subject: ignore.Ignore, *asked: str) -> Iterator[str]:
    for path in asked:
        yield subject.explain(path).reason()


def test_explanations_name_the_rule_and_the_folder(tmp_path: Path) -> None:
    root = gitbox.repository(tmp_path / "r", {"kept.log": "", "out/a": ""})
    gitbox.write(root, {".gitignore": "*.log\n!b.log\nout/\n", "out/b/c": "", "gen/x": ""})
    subject = loaded(root, hide=("gen",), include=("gen/x",))
    reasons = list(_reasons(subject, "a.log", "b.log", "kept.log", "out/b/c", "out/a", "gen/x", "a", ".git/x"))
    assert reasons == [
        "ignored: .gitignore:1: *.log",
        "not ignored: .gitignore:2: !b.log",
        "not ignored: git tracks it, in spite of .gitignore:1: *.log",
        "ignored: .gitignore:3: out/ (the folder out)",
        "not ignored: git tracks it, in spite of .gitignore:3: out/",
        "not ignored: devloop.yaml: include:1: gen/x",
        "not ignored: no rule matches",
        "ignored: built-in: .git (the folder .git)",
    ]


def test_the_agent_answers_alike_from_the_rules_it_is_sent(tmp_path: Path) -> None:
    top = gitbox.repository(tmp_path / "r", {".gitignore": "*.log\n/web/x\n", "web/a/.gitignore": "/b\n"})
    gitbox.repository(top / "web" / "nested", {".gitignore": "*.n\n"})
    root = top / "web"
    subject = loaded(root, hide=("*.c",), include=("a/b/keep",))
    walk(subject, root)
    raw = msgspec.msgpack.encode(subject.rule_set())
    twin = matcher.Matcher(msgspec.msgpack.decode(raw, type=rules.RuleSet))
    asked = ["q.log", "x", "a/b", "a/b/keep", "a/b/other", "nested/q.log", "nested/q.n", "q.c", "nested/q.c", "q"]
    verdicts = {path: subject.ignored(path, False) for path in asked}
    assert {path: twin.verdict(path, False) for path in asked} == verdicts
    assert [path for path, verdict in verdicts.items() if not verdict.ignored] == ["a/b/keep", "nested/q.log", "q"]
    assert twin.rule_set().digest == subject.rule_set().digest
