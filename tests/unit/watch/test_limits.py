"""The words about inotify's limits."""

from devloop.watch import limits


def test_the_hint_is_the_command_and_how_to_keep_it() -> None:
    hint = limits.watches_hint(needed=900, allowed=8_192)
    assert hint.startswith("sudo sysctl fs.inotify.max_user_watches=524288;")
    assert "echo fs.inotify.max_user_watches=524288 | sudo tee /etc/sysctl.d/60-devloop.conf" in hint


def test_the_limit_asked_for_has_room_on_top_of_a_limit_that_others_use_up() -> None:
    assert "max_user_watches=1048576;" in limits.watches_hint(needed=100_000, allowed=524_288)


def test_the_hint_for_instances_names_their_key() -> None:
    assert limits.instances_hint(allowed=128).startswith("sudo sysctl fs.inotify.max_user_instances=1024;")
    assert "max_user_instances=2048;" in limits.instances_hint(allowed=1_024)


def test_a_system_without_the_files_has_no_numbers() -> None:
    assert limits._smallest(("/nonexistent/a", "/dev/null")) == 0
