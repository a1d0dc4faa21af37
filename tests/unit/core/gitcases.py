"""Random ignore files, and what git says about them: the other half of the differential test.

One repository is used over and over: it holds many case folders, each the top of a small tree with its own
ignore files, so that one git process answers for all of them at once.
"""

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

from devloop.core import rules

PLAIN = [
    b"a", b"b", b"foo", b"bar", b"foobar", b"Foo", b"x.py", b"y.log", b"Y.LOG", b".env", b"build", b"lib",
    b"z z", b"end ", b"#c", b"!a", b"a-b", b"[ab]", b"a*b", b"a\\b", b"\xc3\xa4", b"\xe9", b"a]", b"1", b"_",
]  # fmt: skip
FOLDERS = [
    b"a", b"a/b", b"a/b/foo", b"a/foo", b"b", b"b/a", b"foo", b"foo/bar", b"foo/bar/a", b"foo/foo", b"Foo", b"build",
    b"build/lib", b"lib", b"lib/a", b"z z", b"\xc3\xa4", b"\xc3\xa4/b", b"\xe9", b"\xe9/a", b"[ab]", b"a*b", b"foobar",
    b"foobar/foo", b"#c", b"!a",
]  # fmt: skip
ATOMS = [
    b"*", b"**", b"***", b"?", b"[ab]", b"[!ab]", b"[^a]", b"[a-f]", b"[f-a]", b"[]a]", b"[!]a]", b"[a-]", b"[-a]",
    b"[A-Z]", b"[[:alpha:]]", b"[[:upper:]]", b"[[:lower:]_]", b"[![:digit:]]", b"[[:space:]]", b"[[:punct:]]",
    b"[[:alnum:][:punct:]]", b"[[:nope:]]", b"[[:alpha:]-z]", b"[[:alpha]", b"[[:]", b"[[::]]", b"[\\]a]", b"[\\a-c]",
    b"[a-\\c]", b"[a\\-z]", b"[!\\!]", b"[\\\\]", b"[/]", b"[!/]", b"[a/b]", b"[", b"[a", b"[!", b"[]", b"[\\", b"\\",
    b"\\*", b"\\?", b"\\[", b"\\a", b"\\A", b"\\ ", b"\\/", b"/", b"//", b".", b"-", b" ", b"\t",
    b"\xc3[\xa4]", b"\xc3?", b"[\xe0-\xef]", b"[!\xc3]",
]  # fmt: skip
SHAPES = [
    b"%s", b"%s/", b"/%s", b"/%s/", b"**/%s", b"%s/**", b"**/%s/**", b"%s/*", b"*/%s", b"/*/%s", b"%s/**/%s", b"*%s",
    b"%s*", b"*%s*", b"%s**", b"**%s", b"%s**/%s", b"%s/**%s", b"**/*%s", b"%s/%s", b"/%s/%s", b"%s/*/%s", b"**/**/%s",
    b"%s/**/", b"**/%s/*", b"%s?", b"?%s", b"%s/***/%s", b"%s/**\\/%s", b"**\\/%s", b"%s\\/%s", b"*%s*%s", b"%s//%s",
    b"%s ", b"%s  ", b"%s\\ ", b"%s\\  ", b"%s\\", b"./%s", b"%s/.", b"%s\r", b"%s\0x", b"/**/%s", b"%s/**/%s/**/%s",
]  # fmt: skip
GLOBSTARS = [
    b"/", b"/**/", b"**/", b"/**", b"**", b"*", b"\\/", b"/**\\/", b"/*/", b"//", b"/***/", b"/**/**/", b"[/]", b"*/",
    b"/*", b"?**/", b"/**/*/", b"*/**/",
]  # fmt: skip
WHOLE = [
    b"", b" ", b"#c", b"\\#c", b"!", b"!!a", b"\\!a", b"/", b"//", b"!/", b"*", b"**", b"***", b"/*", b"*/", b"/*/",
    b"!/*/", b"!*/", b"!*", b"**/", b"/**", b"**/*", b"*.py", b"*.log", b"!*.log", b"*.*", b".*", b"\\", b"\\\\", b"[",
    b"# c", b" #c", b"!/**/", b"*/*", b"*/*/*", b"**/**",
]  # fmt: skip


def pattern(rng: random.Random, near: list[bytes]) -> bytes:
    """Return one line of an ignore file: sometimes sensible, often hostile, and often near one of some paths."""
    kind = rng.random()
    if kind < 0.05:
        return rng.choice(WHOLE)
    if kind < 0.15:
        return b"".join(rng.choice([*ATOMS, *PLAIN]) for _ in range(rng.randint(1, 5)))
    if kind < 0.8:
        return _near_hit(rng, rng.choice(near))
    shape = rng.choice(SHAPES)
    line = shape % tuple(_part(rng) for _ in range(shape.count(b"%s")))
    return b"!" + line if rng.random() < 0.25 else line


def _near_hit(rng: random.Random, line: bytes) -> bytes:
    """Return a path with some of its letters made into wildcards, so that many such patterns match."""
    if rng.random() < 0.5:
        line = line.rpartition(b"/")[2]
    rate = rng.choice([0.0, 0.1, 0.3])
    line = b"".join(
        _blurred(rng, line[at : at + 1]) if rng.random() < rate else _quoted(line[at : at + 1])
        for at in range(len(line))
    )
    if rng.random() < 0.3:
        at = rng.randint(0, len(line))
        line = line[:at] + rng.choice([*ATOMS, *GLOBSTARS]) + line[at + rng.choice([0, 0, 1, 3]) :]
    lead = rng.choice([b"", b"", b"", b"/", b"!", b"!", b"!/", b"**/"])
    return lead + line + rng.choice([b"", b"", b"", b"/", b"/**", b"*", b"**"])


def _quoted(letter: bytes) -> bytes:
    return b"\\" + letter if letter in b"*?[\\#!" else letter


def _blurred(rng: random.Random, letter: bytes) -> bytes:
    """Return something that matches the letter in most places."""
    if letter == b"/":
        return rng.choice(GLOBSTARS)
    quoted = b"\\" + letter
    options = [b"*", b"*", b"?", b"**", b"***", letter.swapcase(), quoted, quoted.swapcase(), b"[%s]" % quoted]
    options += [
        b"[!%s]" % quoted,
        b"[%s-%s]" % (quoted, quoted),
        b"[!/]",
        b"[^x/]",
        b"[[:alnum:][:punct:]]",
        b"[[:alpha:]_]",
    ]
    options += [
        b"[[:upper:]]",
        b"[[:lower:]]",
        b"[a-z]",
        b"[A-Z]",
        b"[a-z\xa0-\xff]",
        b"[[:x%s]" % letter,
        b"[[:%s]" % letter,
    ]
    return rng.choice(options)


def _part(rng: random.Random) -> bytes:
    name = rng.choice(PLAIN)
    kind = rng.random()
    if kind < 0.55:
        return name
    if kind < 0.75:
        at = rng.randint(0, len(name))
        return name[:at] + rng.choice(ATOMS) + name[at + rng.randint(0, 1) :]
    if kind < 0.85:
        return name.swapcase()
    return rng.choice(ATOMS) + rng.choice([b"", name])


def ignore_file(rng: random.Random, near: list[bytes], most: int) -> bytes:
    """Return the content of an ignore file, with patterns near some of the paths."""
    end = b"\r\n" if rng.random() < 0.1 else b"\n"
    content = end.join(pattern(rng, near or [b"a"]).replace(b"\n", b"") for _ in range(rng.randint(1, most)))
    if rng.random() < 0.1:
        content = b"\xef\xbb\xbf" + content
    return content if rng.random() < 0.2 else content + end


def some_paths(rng: random.Random, count: int) -> list[bytes]:
    """Return paths in a few folders; some are folders on the disk, the others do not exist, which makes them files."""
    within = [b"", *rng.sample(FOLDERS, 4)]
    found = {folder for folder in FOLDERS if folder.rpartition(b"/")[0] in within}
    while len(found) < count:
        folder = rng.choice(within)
        name = rng.choice(PLAIN) + rng.choice([b"", b"", b"", b".py", b".log", b"~", b" "])
        found.add(folder + b"/" + name if folder else name)
    return sorted(found)


class Bench:
    """A repository with case folders, rewritten for every round."""

    def __init__(self, root: Path, cases: int) -> None:
        self.root = os.fsencode(root)
        self.cases = [b"c%02d" % number for number in range(cases)]
        self.written: list[bytes] = []
        subprocess.run(["git", "init", "-q", self.root], check=True)
        for case in self.cases:
            for folder in FOLDERS:
                os.makedirs(os.path.join(self.root, case, folder), exist_ok=True)

    def round(self, rng: random.Random) -> tuple[list[rules.Group], list[bytes]]:
        """Write new ignore files everywhere; return them as groups, and paths to ask about."""
        for path in self.written:
            os.unlink(os.path.join(self.root, path))
        self.written = []
        asked = {case: some_paths(rng, 40) for case in self.cases}
        groups: list[rules.Group] = []
        for layer, path in ((rules.Layer.GLOBAL, b".git/global"), (rules.Layer.EXCLUDE, b".git/info/exclude")):
            groups += self._write_above(rng, layer, path, asked[rng.choice(self.cases)])
        groups += self._write_above(rng, rules.Layer.GITIGNORE, b".gitignore", asked[rng.choice(self.cases)])
        for case in self.cases:
            groups += self._write_case(rng, case, asked[case])
        return groups, [case + b"/" + path for case in self.cases for path in asked[case]]

    def _write_above(
        self, rng: random.Random, layer: rules.Layer, path: bytes, near: list[bytes]
    ) -> Iterator[rules.Group]:
        if rng.random() < 0.3:
            # the layers above the cases take part, but must not decide everything
            content = ignore_file(rng, near, most=2) + b"\n!/c[0-9]*/\n"
            yield from self.write(layer, b"", path, content)

    def _write_case(self, rng: random.Random, case: bytes, paths: list[bytes]) -> Iterator[rules.Group]:
        folders = sorted({path.rpartition(b"/")[0] for path in paths} - {b""})
        for folder in [b"", *rng.sample(folders, rng.randint(0, len(folders)))]:
            base = case + b"/" + folder if folder else case
            near = [
                path[len(folder) :].lstrip(b"/") for path in paths if path.startswith(folder + b"/" if folder else b"")
            ]
            yield from self.write(
                rules.Layer.GITIGNORE, base, base + b"/.gitignore", ignore_file(rng, near, rng.choice([1, 2, 6]))
            )

    def write(self, layer: rules.Layer, base: bytes, path: bytes, content: bytes) -> Iterator[rules.Group]:
        with open(os.path.join(self.root, path), "wb") as file:
            file.write(content)
        self.written.append(path)
        listed = rules.parse(content, base, path.decode("utf-8", "surrogateescape"))
        if listed:
            yield rules.Group(layer, base, listed)

    def ask(self, asked: list[bytes], *, ignorecase: bool) -> Iterator[tuple[bytes, bytes, bytes, bytes]]:
        """Yield git's answers: source, line, pattern and path; the first three are empty where no rule matched."""
        flag = f"core.ignorecase={str(ignorecase).lower()}"
        excludes = b"core.excludesFile=" + os.path.join(self.root, b".git/global")
        command: list[str | bytes] = [
            "git",
            "-c",
            flag,
            "-c",
            excludes,
            "check-ignore",
            "--no-index",
            "--stdin",
            "-z",
            "-v",
            "-n",
        ]
        env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            command, input=b"".join(path + b"\0" for path in asked), capture_output=True, cwd=self.root, env=env
        )
        assert done.returncode in {0, 1}, done.stderr
        fields = done.stdout.split(b"\0")
        yield from zip(fields[0::4], fields[1::4], fields[2::4], fields[3::4], strict=False)
