from __future__ import annotations

import json

from devloop.podspec import names, record


def test_a_record_is_read_as_it_was_written() -> None:
    made = record.Record("web", "app", ("/app",), True, ("a note",), ("/app/x",), record.Restore({"image": "x"}))
    assert record.read({"metadata": {"annotations": {names.ANNOTATION: made.text()}}}) == made


def test_the_text_begins_with_the_version_and_says_what_others_look_for() -> None:
    told = json.loads(record.Record("web", "app", ("/app",), False).text())
    assert next(iter(told)) == "version"
    assert {"version", "service", "container", "tos", "supervise", "notes"} <= told.keys()
    assert told["restore"] == {}


def test_a_pod_without_the_annotation_has_none() -> None:
    assert record.read({"metadata": {"annotations": {"a": "b"}}}) is None
    assert record.read({}) is None
