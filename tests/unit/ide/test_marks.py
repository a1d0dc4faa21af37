from __future__ import annotations

from devloop.ide import marks


def test_a_mark_fits_its_content_and_no_other() -> None:
    mark = marks.of_value({"a": 1, "b": [2]})
    assert marks.fits(mark, f"// {mark}") and marks.fits(marks.of_value({"b": [2], "a": 1}), mark)
    assert not marks.fits(marks.of_value({"a": 1}), mark)
    assert not marks.fits(mark, "// a comment") and not marks.fits("", "")


def test_text_that_no_file_could_hold_has_a_mark() -> None:
    assert marks.of_text("\udc80") != marks.of_text("x")
