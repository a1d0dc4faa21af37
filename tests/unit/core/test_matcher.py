"""The matcher, compared with git itself."""

import os
import random
from pathlib import Path

from devloop.core import matcher, rules
from tests.unit.core import gitcases

SEED = int(os.environ.get("DEVLOOP_IGNORE_SEED", "1"))
CASES = int(os.environ.get("DEVLOOP_IGNORE_CASES", "52000"))


def test_every_verdict_and_deciding_rule_is_gits(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    bench = gitcases.Bench(tmp_path, 40)
    asked_before = 0
    wrong: list[str] = []
    while asked_before < CASES:
        ignorecase = rng.random() < 0.3
        groups, asked = bench.round(rng)
        subject = matcher.Matcher(rules.RuleSet(tuple(groups), ignorecase=ignorecase, globstar_after_prefix=True))
        for source, line, pattern, path in bench.ask(asked, ignorecase=ignorecase):
            name = os.fsdecode(path)
            rule = subject.verdict(name, path[4:] in gitcases.FOLDERS).rule
            ours = (os.fsencode(rule.source), b"%d" % rule.line, rule.text) if rule else (b"", b"", b"")
            if rule and rule.source == ".git/global":
                ours = (os.path.join(bench.root, b".git/global"), *ours[1:])
            if ours != (source, line, pattern):
                wrong.append(f"{path!r} ignorecase={ignorecase}: git {source, line, pattern}, devloop {ours}")
        asked_before += len(asked)
    assert wrong == [], f"{len(wrong)} of {asked_before}"
