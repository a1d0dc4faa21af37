from __future__ import annotations

import datetime

import pytest

from agent.webhook import der


@pytest.mark.parametrize(
    ("made", "hexed"),
    [
        (der.integer(0), "020100"),
        (der.integer(127), "02017f"),
        # A first bit that is set would make it negative.
        (der.integer(128), "02020080"),
        (der.integer(65537), "0203010001"),
        (der.boolean(True), "0101ff"),
        (der.oid("1.2.840.10045.2.1"), "06072a8648ce3d0201"),
        (der.oid("2.5.29.17"), "0603551d11"),
        (der.bits(b"\x80", 7), "03020780"),
        (der.sequence(der.NULL, der.integer(1)), "30050500020101"),
        (der.octets(b"x" * 127), "047f" + "78" * 127),
        (der.octets(b"x" * 128), "048180" + "78" * 128),
        (der.octets(b"x" * 256), "04820100" + "78" * 256),
        (der.text("é"), "0c02c3a9"),
    ],
)
def test_values_are_encoded_as_x690_says(made: bytes, hexed: str) -> None:
    assert made.hex() == hexed


def test_times_are_in_utc() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    assert der.time(datetime.datetime(2026, 1, 1, 1, 0, tzinfo=zone)) == b"\x17\x0d251231230000Z"


def test_pem_has_short_lines() -> None:
    lines = der.pem("X", b"a" * 100).splitlines()
    assert (lines[0], lines[-1]) == ("-----BEGIN X-----", "-----END X-----")
    assert max(map(len, lines)) == 64
