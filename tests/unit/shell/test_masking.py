"""Secrets in a command's output: gone however the bytes are cut; everything else as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.shell import masking

REPO = Path(__file__).parents[3]
SECRETS = ["hunter2", "hunter2000", "line one\nline two", "abab!"]


@given(
    st.lists(st.sampled_from(["hunter2", "hunter2000", "abab!", "hunt", "ab", "x", "line one", "\n"]), max_size=8),
    st.data(),
)
def test_no_cut_lets_a_secret_through(parts: list[str], data: st.DataObject) -> None:
    whole = "".join(parts).encode()
    at = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    mask = masking.Mask(SECRETS)
    pieces = [whole[start:end] for start, end in zip([0, *at], [*at, len(whole)], strict=True)]
    made = b"".join(mask.feed(piece) for piece in pieces) + mask.rest()
    one = masking.Mask(SECRETS)
    assert made == one.feed(whole) + one.rest()
    assert not any(secret.encode() in made for secret in ("hunter2", "abab!", "line one"))


@given(st.lists(st.binary(max_size=50)))
def test_without_secrets_bytes_are_as_they_were(pieces: list[bytes]) -> None:
    mask = masking.Mask(["", "abc"])
    assert b"".join(mask.feed(piece) for piece in pieces) + mask.rest() == b"".join(pieces)


def test_only_what_may_be_a_beginning_waits() -> None:
    mask = masking.Mask(["secret"])
    assert mask.feed(b"prompt> se") == b"prompt> " and mask.feed(b"t\n") == b"set\n"
    assert mask.feed(b"a secret b") == b"a *** b" and mask.feed(b"sec") == b"" and mask.rest() == b"sec"


@pytest.mark.parametrize(("end", "status"), [("sys.exit(7)", 7), ("os.kill(os.getpid(), 15)", 143)])
def test_a_command_is_masked_on_both_outputs_and_ends_as_it_does(end: str, status: int) -> None:
    code = f"import os, sys; print('a hunter2 b', flush=True); sys.stderr.write('hunter2'); sys.stderr.flush(); {end}"
    ours = (
        "import asyncio, sys\nfrom devloop.shell import become, masking\n"
        f"here = become.Here((sys.executable, '-c', {code!r}), {{}})\n"
        "sys.exit(asyncio.run(masking.run(here, ['hunter2'])))"
    )
    done = subprocess.run([sys.executable, "-c", ours], cwd=REPO, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (status, b"a *** b\n", b"***")
