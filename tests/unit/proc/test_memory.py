"""Free memory goes back to the system."""

import gc
import subprocess
import sys

import pytest

from devloop.proc import memory

SCRIPT = """
import sys, threading
from devloop.proc import memory
assert memory.keep_small()

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

def hold():
    pieces = [bytearray(200_000) for _ in range(200)]
    del pieces

before = resident()
for _ in range(4):
    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc is what is tuned")
def test_what_threads_held_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000_000, "40 MB were held and freed four times"


def test_collections_become_rare() -> None:
    before = gc.get_threshold()
    # Other tests of this process may have called it already.
    gc.set_threshold(700, 10, 10)
    try:
        memory.collect_rarely()
        assert gc.get_threshold()[0] > 700
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.keep_small() is False


def test_giving_back_works_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    memory.give_back()
    monkeypatch.setattr(sys, "platform", "darwin")
    memory.give_back()
    assert gc.isenabled()
