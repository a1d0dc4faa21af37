"""What is told of an image that could not be copied whole."""

from __future__ import annotations

from pathlib import Path

from agent import seeded
from devloop.protocol import messages
from tests.unit.agent import linked, target


def test_what_is_missing_is_told_with_some_names(tmp_path: Path) -> None:
    spec = target.spec_in(tmp_path)
    Path(spec.state).mkdir(parents=True, exist_ok=True)
    assert list(seeded.notes([spec])) == []
    listed = Path(spec.state, seeded.LIST)
    listed.write_bytes(b"./private\n./caf\xe9\n")
    (told,) = seeded.notes([spec])
    assert told.startswith(f"2 paths of {spec.to} in the image") and told.endswith("missing: private, caf\ufffd")
    listed.write_text("".join(f"./{number}\n" for number in range(9)))
    (told,) = seeded.notes([spec])
    assert told.startswith("9 paths") and told.endswith("0, 1, 2, 3, 4, …")
    listed.write_text("")
    assert list(seeded.notes([spec])) == []


async def test_the_laptop_hears_of_it(tmp_path: Path) -> None:
    told = linked.told_in(tmp_path)
    Path(told.roots[0].state).mkdir(parents=True, exist_ok=True)
    Path(told.roots[0].state, seeded.LIST).write_text("./private\n")
    async with linked.running(told) as bench:
        laptop = await bench.link()
        heard = await laptop.told(messages.Output)
        assert (heard.source, b"are missing: private" in heard.data) == ("agent", True)
