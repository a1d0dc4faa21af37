from __future__ import annotations

from collections.abc import Callable

import pytest

from devloop.config import values
from devloop.config.values import Forward, Workload


def refused(parse: Callable[[object], object], value: object) -> str:
    with pytest.raises(values.BadValue) as caught:
        parse(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("300ms", 0.3), ("5s", 5.0), ("2m", 120.0), ("1h", 3600.0), ("1m30s", 90.0), ("0s", 0.0)]
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert values.duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["5", "5 s", "-1s", "s", "", "1d", "5S", "١s", "9" * 400 + "s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    assert "duration" in refused(values.duration_s, text)


def test_a_duration_without_unit_is_told_the_unit() -> None:
    with pytest.raises(values.BadValue) as caught:
        values.duration_s("5")
    assert caught.value.hint == "write 5s for seconds"


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("deployment/web", "deployment", "web"),
        ("deploy/web", "deployment", "web"),
        ("StatefulSets/db-0", "statefulset", "db-0"),
        ("rollout/a.b", "rollout", "a.b"),
        ("pod/x", "pod", "x"),
    ],
)
def test_workloads_are_a_kind_and_a_name(text: str, kind: str, name: str) -> None:
    assert values.workload(text) == Workload(kind, name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("web", "'web' does not say what kind of workload it is"),
        ("deploymnet/web", "'deploymnet' is not a kind of workload"),
        ("deployment/", "'' is not the name of a Kubernetes object"),
        ("deployment/Web", "'Web' is not the name of a Kubernetes object"),
        ("deployment/a/b", "'a/b' is not the name of a Kubernetes object"),
    ],
)
def test_what_is_no_workload_is_refused(text: str, message: str) -> None:
    assert refused(values.workload, text) == message


@pytest.mark.parametrize(
    ("text", "forward"),
    [
        ("8000", Forward(8000, "", 8000, 8000)),
        ("8080:80", Forward(80, "", 8080, 8080)),
        ("22:22", Forward(22, "", 22, 22)),
        ("8000-8010:80", Forward(80, "", 8000, 8010)),
        ("0.0.0.0:8080:80", Forward(80, "", 8080, 8080, "0.0.0.0")),
        ("[::1]:8080:80", Forward(80, "", 8080, 8080, "::1")),
        ("8080:80/tcp", Forward(80, "", 8080, 8080)),
    ],
)
def test_ports_of_the_pod(text: str, forward: Forward) -> None:
    assert values.pod_port(text) == forward


@pytest.mark.parametrize(
    ("text", "forward"),
    [
        ("postgres:5432", Forward(5432, "postgres", 5432, 5432)),
        ("8080:web:80", Forward(80, "web", 8080, 8080)),
        ("svc.other-namespace:443", Forward(443, "svc.other-namespace", 443, 443)),
        ("127.0.0.1:8080:web:80", Forward(80, "web", 8080, 8080, "127.0.0.1")),
        ("[::1]:9000-9002:web:80", Forward(80, "web", 9000, 9002, "::1")),
    ],
)
def test_ports_of_other_services(text: str, forward: Forward) -> None:
    assert values.service_forward(text) == forward


@pytest.mark.parametrize(
    "text", ["", "http", "0", "65536", "99999999999", "80:", ":80", "1:2:3:4", "80-70:1", "80/udp"]
)
def test_what_is_no_port_is_refused(text: str) -> None:
    assert refused(values.pod_port, text)


@pytest.mark.parametrize("text", ["5432", "8080:80", "web", "web:", "We_b:80", "dns:53/udp"])
def test_what_is_no_service_port_is_refused(text: str) -> None:
    assert refused(values.service_forward, text)


def test_commands_are_words_or_an_explicit_shell_line() -> None:
    assert values.argv(["sleep", "5"]) == ("sleep", "5")
    assert values.argv({"shell": "a && b"}) == ("/bin/sh", "-c", "a && b")


@pytest.mark.parametrize(
    "value", ["a b", [], [""], ["a", None], ["a", ["b"]], {"shell": ""}, {"shell": "\0"}, {"sh": "x"}, None, ["\0"]]
)
def test_what_is_no_command_is_refused(value: object) -> None:
    assert refused(values.argv, value)


@pytest.mark.parametrize(
    "text", ["*.py", "src/**", "[id].tsx", "a[!b]c", "[]a]", r"\[a", "[[:alpha:]]", r"a\\", "a b", "/x"]
)
def test_patterns_that_git_understands(text: str) -> None:
    assert values.pattern(text) == text
    assert values.ignore_pattern("!" + text) == "!" + text


@pytest.mark.parametrize("text", ["", " ", "/", "../x", "a/../b", "[a", "a[", "[!", "x\\", "a\nb", "a\0b", "[a-\\]"])
def test_patterns_that_would_match_nothing_are_refused(text: str) -> None:
    assert refused(values.pattern, text)
    assert refused(values.ignore_pattern, text)


def test_a_negation_belongs_to_ignore_only() -> None:
    assert "negation" in refused(values.pattern, "!a")
    assert "comment" in refused(values.ignore_pattern, "#a")


@pytest.mark.parametrize(
    ("text", "path"), [("/app", "/app"), ("/app/", "/app"), ("//app//x", "/app/x"), ("/a/./b", "/a/b")]
)
def test_pod_paths_are_normalised(text: str, path: str) -> None:
    assert values.pod_path(text) == path


@pytest.mark.parametrize("text", ["app", "", "./app", "/app/../etc", "/a\0b", "/a\x1b[1m"])
def test_what_is_no_pod_path_is_refused(text: str) -> None:
    assert refused(values.pod_path, text)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//",
        "/.",
        "/etc",
        "/etc/",
        "/usr",
        "/usr/bin",
        "/usr/local",
        "/usr/lib",
        "/bin",
        "/bin/x",
        "/sbin",
        "/lib",
        "/lib64",
        "/libx32",
        "/lib/x",
        "/proc",
        "/proc/1/root",
        "/sys/fs",
        "/dev",
        "/dev/shm",
        "/boot",
        "/var",
        "/run",
    ],
)
def test_folders_of_the_system_are_no_place_to_sync_to(path: str) -> None:
    assert refused(values.sync_to, path).endswith("belongs to the system and cannot be synced to")


@pytest.mark.parametrize(
    "path", ["/app", "/usr/src/app", "/usr/share/nginx/html", "/etc/nginx", "/library", "/binary", "/root", "/var/www"]
)
def test_folders_of_apps_are(path: str) -> None:
    assert values.sync_to(path) == path


def test_laptop_paths_are_resolved_against_the_file_that_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert values.laptop_path(".", "/p") == "/p"
    assert values.laptop_path("../x/", "/p/q") == "/p/x"
    assert values.laptop_path("/abs", "/p") == "/abs"
    assert values.laptop_path("~/x", "/p") == "/home/me/x"
    assert refused(lambda value: values.laptop_path(value, "/p"), "a\0")


def test_signals_lose_their_prefix_and_must_be_ones_to_reload_with() -> None:
    assert values.signal_name("SIGHUP") == "HUP"
    assert values.signal_name("usr1") == "USR1"
    assert refused(values.signal_name, "KILL")


def test_seeds() -> None:
    assert values.seed("all") == ("**",)
    assert values.seed("none") == ()
    assert values.seed(["a/**"]) == ("a/**",)
    assert refused(values.seed, "some")


@pytest.mark.parametrize(
    ("folder", "path", "inside"), [("/a", "/a", 1), ("/a", "/a/b", 1), ("/a", "/ab", 0), ("/", "/x", 1)]
)
def test_contains_goes_by_whole_segments(folder: str, path: str, inside: int) -> None:
    assert values.contains(folder, path) is bool(inside)
