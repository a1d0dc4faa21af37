"""What the agent tells by itself, on the wire."""

from devloop.core import entry
from devloop.protocol import messages
from tests.unit.protocol import samples

FILE = entry.file(b"d" * 32, 5)
ON_THE_WIRE = [1, False, 5, b"d" * 32, b""]


def test_findings_on_the_wire() -> None:
    drift = (messages.WireDrift(b"a", FILE, None), messages.WireDrift(b"b", FILE, FILE))
    findings = messages.Findings(1, drift, 20, (b"x",), 30, 40, ((b"p", FILE),))
    rows = [[b"a", ON_THE_WIRE, None], [b"b", ON_THE_WIRE, ON_THE_WIRE]]
    assert samples.wire(findings) == [43, 1, rows, 20, [b"x"], 30, 40, [[b"p", ON_THE_WIRE]]]


def test_output_and_what_happens_to_processes_on_the_wire() -> None:
    assert samples.wire(messages.Output(1, "app", True, 2, b"line\n")) == [44, 1, "app", True, 2, b"line\n"]
    assert samples.wire(messages.AppChanged("running", 12, 3, "so")) == [45, "running", 12, 3, "so"]
    assert samples.wire(messages.HookStarted("pip")) == [46, "pip"]
    assert samples.wire(messages.HookDone("pip", True, "exit 0", 12)) == [47, "pip", True, "exit 0", 12]


def test_what_happens_to_processes_keeps_its_place_among_their_lines() -> None:
    for kind in (messages.AppChanged, messages.HookStarted, messages.HookDone):
        assert getattr(kind, kind.follows) == messages.OUTPUT_STREAM
    assert messages.Findings.follows == ""
