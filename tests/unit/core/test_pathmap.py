"""The target's paths in output, as the laptop's."""

import pytest

from devloop.core import pathmap

MAP = pathmap.PathMap(
    [pathmap.Pair("/app", "web"), pathmap.Pair("/app/lib/", "../shared/lib"), pathmap.Pair("/srv/my site", "site")]
)


@pytest.mark.parametrize(
    ("there", "here"),
    [
        # Python, pytest, ruff
        ('  File "/app/src/x.py", line 3, in main', '  File "web/src/x.py", line 3, in main'),
        ("/app/src/x.py:12: DeprecationWarning: old", "web/src/x.py:12: DeprecationWarning: old"),
        ("E     File '/app/t.py'", "E     File 'web/t.py'"),
        ("rootdir: /app", "rootdir: web"),
        ("rootdir: /app, configfile: x", "rootdir: web, configfile: x"),
        # Node
        ("    at main (/app/src/index.js:10:15)", "    at main (web/src/index.js:10:15)"),
        ("    at file:///app/src/index.mjs:1:7", "    at web/src/index.mjs:1:7"),
        ("Require stack:\t- /app/index.js", "Require stack:\t- web/index.js"),
        # TypeScript, coloured
        ("\x1b[96m/app/a.ts\x1b[0m:\x1b[93m3\x1b[0m - error", "\x1b[96mweb/a.ts\x1b[0m:\x1b[93m3\x1b[0m - error"),
        ("/app/src/a.ts(3,5): error TS2304: Cannot find name", "web/src/a.ts(3,5): error TS2304: Cannot find name"),
        # Go, Java, C
        ("\t/app/main.go:12 +0x1d", "\tweb/main.go:12 +0x1d"),
        ("/app/src/Main.java:5: error: ';' expected", "web/src/Main.java:5: error: ';' expected"),
        ("In file included from /app/a.c:1:0,", "In file included from web/a.c:1:0,"),
        # the longest folder that fits, several in a line, a folder within a folder of the same name
        ("/app/lib/x.py and /app/libs/y.py", "../shared/lib/x.py and web/libs/y.py"),
        ("/app/app/x.py", "web/app/x.py"),
        ("cp /app/a /app/b", "cp web/a web/b"),
        ("x=/app/a:/app/b", "x=web/a:web/b"),
        ('File "/srv/my site/x.py"', 'File "site/x.py"'),
        ("the folder is /app.", "the folder is web."),
        ("see /app...", "see web..."),
        ("/app/", "web/"),
    ],
)  # fmt: skip
def test_a_path_of_the_target_becomes_the_laptops(there: str, here: str) -> None:
    assert MAP.rewrite(there) == here


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/application/x.py",
        "/app2/x.py",
        "/app-old/x.py",
        "/app.bak/x.py",
        "/srv/app/x.py",
        "./app/x.py",
        "../app/x.py",
        "~/app/x.py",
        "$HOME/app/x.py",
        "${HOME}/app/x.py",
        "http://localhost:8000/app/x",
        "https://example.com/app/",
        "GET example/app/x",
        "-I/app/include",
        "src/x.ts(3,5): error TS2304",
        "tests/test_x.py:3: AssertionError",
        "webpack:///app/x.js",
        "/srv/my siteX",
    ],
)
def test_what_is_not_surely_the_folder_stays(text: str) -> None:
    assert MAP.rewrite(text) == text


@pytest.mark.parametrize("here", ["", ".", "./"])
def test_the_project_folder_itself_is_a_dot(here: str) -> None:
    subject = pathmap.PathMap([pathmap.Pair("/app", here)])
    assert subject.rewrite("/app/x.py:3 in /app") == "./x.py:3 in ."


@pytest.mark.parametrize("pairs", [[], [pathmap.Pair("/", "web")], [pathmap.Pair("", "web")]])
def test_without_folders_nothing_is_touched(pairs: list[pathmap.Pair]) -> None:
    assert pathmap.PathMap(pairs).rewrite("/app/x.py /") == "/app/x.py /"


def test_the_characters_of_patterns_are_plain_in_a_folders_name() -> None:
    subject = pathmap.PathMap([pathmap.Pair("/a+b(c)", "web")])
    assert subject.rewrite("/a+b(c)/x /aab(c)/x") == "web/x /aab(c)/x"
