"""Lines of pods' logs as people and programs see them; none can pretend to be another container's."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.logs import chosen, values
from devloop.ui import podlines, style

STAMP = b"2026-05-01T10:00:00.000000001Z "
ALL = chosen.Chosen()
A = values.Origin("web", "web-7d9f8c6b5-abx2k", "u1", "app")
B = values.Origin("web", "web-7d9f8c6b5-qqq9z", "u2", "app")


def printer(wanted: chosen.Chosen = ALL, *, color: bool = False, **options: bool) -> podlines.Printer:
    return podlines.Printer(style.Style(on=color), wanted, **options)


def batch(*texts: bytes, origin: values.Origin = A, run: int = 0) -> values.Batch:
    return values.Batch(origin, run, [STAMP + text for text in texts])


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ("web-7d9f8c6b5-abx2k", "web-7d…x2k"),
        ("a-very-long-name-of-a-service-7d9f8c6b5-abx2k", "a-very-long-name-of-a-s…-7d…x2k"),
        ("agent-abx2k", "agent-abx2k"),
        ("db-0", "db-0"),
        ("web", "web"),
    ],
)
def test_short_names(pod: str, expected: str) -> None:
    assert podlines.short(pod) == expected


def test_a_short_name_is_given_once() -> None:
    labels = podlines.Labels()
    other = values.Origin("web", "web-7daaaaaaa-zzx2k", "u3", "app")
    assert labels.of(A) == "web-7d…x2k app"
    assert labels.of(other) == "web-7daaaaaaa-zzx2k app"
    assert labels.of(A) == "web-7d…x2k app" and len(labels) == 2


def test_one_container_has_no_prefix_unless_it_is_asked_for() -> None:
    assert printer().lines(batch(b"a")) == ["a"]
    assert printer(prefix=True).lines(batch(b"a")) == ["web-7d…x2k app | a"]


def test_several_have_one_from_the_first_line_on() -> None:
    subject = printer()
    subject.expect([A, B])
    assert subject.lines(batch(b"a", b"b")) == ["web-7d…x2k app | a", "web-7d…x2k app | b"]


def test_what_is_on_this_machine_has_its_service_in_front() -> None:
    assert printer(prefix=True).lines(batch(b"a", origin=values.Origin("web", "", "", "hook"))) == ["web hook | a"]


def test_a_pod_has_one_colour_in_all_its_containers_and_at_every_run() -> None:
    side = values.Origin("web", A.pod, "u1", "side")
    fronts = []
    for origin in (A, side):
        (line,) = printer(color=True, prefix=True).lines(batch(b"a", origin=origin))
        fronts.append(re.match("\x1b\\[\\d+m", line))
    assert fronts[0] is not None and fronts[1] is not None and fronts[0][0] == fronts[1][0]


def test_without_colours_there_are_none() -> None:
    assert "\x1b" not in "".join(printer(prefix=True).lines(batch(b"\x1b[31mred\x1b[0m")))


EVIL = [
    b"\rweb-7d\xe2\x80\xa69z app | faked",
    b"\x1b[1A\x1b[2Kweb app | faked",
    b"a\x1b]0;title\x07b",
    b"\x1b[2J\x1b[H",
    b"\x9b2J\xc2\x9b2J",
    b"a\x08\x08\x08\x08b\x0b\x0c\x85\xe2\x80\xa8c",
]


@pytest.mark.parametrize("text", EVIL)
@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("pretty", [False, True])
def test_no_line_steers_the_terminal_or_begins_another(text: bytes, color: bool, pretty: bool) -> None:
    for shape in (text, json.dumps({"msg": text.decode("latin-1"), "level": text.decode("latin-1")}).encode()):
        for line in printer(color=color, prefix=True, pretty=pretty).lines(batch(shape)):
            shown = re.sub("\x1b\\[[0-9;]*m", "", line)
            assert shown.startswith("web-7d…x2k app | ")
            assert not re.search("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]", shown)


@given(st.binary(max_size=60), st.booleans(), st.booleans())
def test_no_bytes_do(raw: bytes, color: bool, pretty: bool) -> None:
    for line in printer(color=color, prefix=True, pretty=pretty).lines(batch(raw.replace(b"\n", b""))):
        shown = re.sub("\x1b\\[[0-9;:]*m", "", line)
        assert shown.startswith("web-7d…x2k app | ")
        assert not re.search("[\x00-\x08\x0a-\x1f\x7f-\x9f]", shown)


def test_only_wanted_lines() -> None:
    wanted = chosen.parse(["a"], ["b"])
    assert printer(wanted).lines(batch(b"a", b"ab", b"c")) == ["a"]
    assert [json.loads(line)["line"] for line in podlines.to_json(batch(b"a", b"ab", b"c"), wanted)] == ["a"]


def test_stamps_are_shown_as_they_came() -> None:
    subject = printer(timestamps=True)
    assert subject.lines(batch(b"a")) == ["2026-05-01T10:00:00.000000001Z a"]
    assert subject.lines(values.Batch(A, 0, [b"no stamp"])) == ["no stamp"]


def test_a_piece_of_a_long_line_is_marked() -> None:
    assert printer().lines(batch(b"a\n", b"b")) == ["a …", "b"]


def test_json_for_people() -> None:
    line = b'{"level":"warn","ts":"10:00","msg":"slow","ms":12,"stack":"one\\ntwo"}'
    shown = printer(pretty=True, prefix=True).lines(batch(line, b"plain"))
    front = "web-7d…x2k app | "
    assert shown == [
        f"{front}10:00 WARN  slow ms=12",
        f"{front}    stack=",
        f"{front}    one",
        f"{front}    two",
        f"{front}plain",
    ]


def test_json_for_programs_is_as_it_was_printed() -> None:
    made = [json.loads(line) for line in podlines.to_json(batch(b"\x1b[31mred\xff", b"a\n", b"b", run=2), ALL)]
    whose = {"service": "web", "pod": A.pod, "container": "app", "time": STAMP.decode().strip(), "restart": 2}
    assert made == [
        {**whose, "line": "\x1b[31mred\ufffd"},
        {**whose, "line": "a", "more": True},
        {**whose, "line": "b"},
    ]


def test_a_remark_names_its_container() -> None:
    subject = printer()
    assert subject.note(values.Note(A, "gone\x1b[2J", "wait")) == ["web-7d…x2k app: gone", "hint: wait"]
    assert subject.note(values.Note(values.Origin("web", "", "", ""), "no pods")) == ["web: no pods"]
