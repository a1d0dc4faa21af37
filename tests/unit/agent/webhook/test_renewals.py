from __future__ import annotations

from agent.webhook import renewals


def test_silence_is_counted_by_our_own_clock_from_when_it_was_first_seen() -> None:
    heard = renewals.Heard()
    assert heard.silences({"a": "2001"}, 100.0) == {"a": 0.0}
    assert heard.silences({"a": "2001", "b": ""}, 107.0) == {"a": 7.0, "b": 0.0}


def test_any_change_is_a_sign_of_life_also_one_into_the_past() -> None:
    heard = renewals.Heard()
    heard.silences({"a": "2026"}, 0.0)
    assert heard.silences({"a": "1970"}, 9.0) == {"a": 0.0}


def test_what_was_away_starts_anew() -> None:
    heard = renewals.Heard()
    heard.silences({"a": "x"}, 0.0)
    heard.silences({}, 5.0)
    assert heard.silences({"a": "x"}, 9.0) == {"a": 0.0}
