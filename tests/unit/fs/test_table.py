"""A table is a dict that is still there after a restart."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from devloop.core import entry
from devloop.fs import recordlog, table

KEYS = st.sampled_from(["a", "b/c", "caf\udce9", "d"])
CHANGES = st.dictionaries(KEYS, st.one_of(st.none(), st.integers(0, 9)))


@given(st.lists(CHANGES, max_size=8), st.booleans())
def test_it_is_a_dict_that_persists(steps: list[dict[str, int | None]], compact: bool) -> None:
    import tempfile

    model: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        subject = table.Table(f"{folder}/t", int)
        subject.open()
        for changes in steps:
            subject.update(changes)
            for key, value in changes.items():
                if value is None:
                    model.pop(key, None)
                else:
                    model[key] = value
        if compact:
            subject.compact()
        assert subject.rows == model
        subject.close()
        again = table.Table(f"{folder}/t", int)
        assert again.open() == model
        again.close()


def test_history_is_dropped(tmp_path: Path) -> None:
    subject = table.Table(str(tmp_path / "t"), int)
    subject.open()
    for value in range(6000):
        subject.update({"k": value})
    subject.close()
    assert (tmp_path / "t").stat().st_size < 50_000


def test_rows_of_another_version_are_dropped(tmp_path: Path) -> None:
    with recordlog.RecordLog(str(tmp_path / "t")) as log:
        log.open()
        log.append(b"\xc1 not msgpack")
    subject = table.Table(str(tmp_path / "t"), entry.Entry)
    assert subject.open() == {}
    subject.update({"a": entry.folder()})
    subject.close()
    again = table.Table(str(tmp_path / "t"), entry.Entry)
    assert again.open() == {"a": entry.folder()}
    again.close()
