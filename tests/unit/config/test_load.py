from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop import errors
from devloop.config import load, model, values

GOOD = """\
version: 1
services:
  web:
    target: {local: ./.devloop/web}
    sync:
      - {from: ., to: /app}
"""


def read(text: str, overlay: str | None = None, environ: Mapping[str, str] = {}) -> model.Config:
    over = None if overlay is None else load.Text("devloop.local.yaml", overlay.encode())
    main = load.Text("devloop.yaml", text.encode())
    return load.assemble(main, over, folder="/p/shop", environ=environ)[0]


def complaints(text: str, overlay: str | None = None, environ: Mapping[str, str] = {}) -> list[str]:
    with pytest.raises(errors.ConfigError) as caught:
        read(text, overlay, environ)
    found = caught.value.errors if isinstance(caught.value, errors.ConfigErrors) else (caught.value,)
    return [f"{error.location()}: {error}" for error in found]


def test_the_smallest_file() -> None:
    config = read(GOOD)
    assert config.name == "shop"
    assert config.version == 1
    web = config.services["web"]
    assert web.target == model.Target(local="/p/shop/.devloop/web")
    assert (web.sync[0].source, web.sync[0].to) == ("/p/shop", "/app")
    assert web.reload == model.Reload(mode=model.Mode.NONE)
    assert web.reload.grace_s == 5.0


def test_every_key_arrives_typed() -> None:
    config = read(
        GOOD
        + """\
    command: [sleep, 5]
    env: {A: on, B: 0123, C: 22:22, D: 1.10, E: ""}
    reload: supervise
    build: {run: [make], when: ["src/**"], cwd: sub, timeout: 1m30s}
    on_change: [{paths: [a.txt], run: {shell: "x | y"}, in: laptop}]
    ports: [22:22, 8000]
    wait_first_sync: yes
forwards: [postgres:5432]
argocd: {application: shop, templates: ../deploy}
watch: {poll: 500ms}
"""
    )
    web = config.services["web"]
    assert web.command == ("sleep", "5")
    assert web.env == {"A": "on", "B": "0123", "C": "22:22", "D": "1.10", "E": ""}
    assert web.reload.mode is model.Mode.SUPERVISE
    assert web.build is not None
    assert (web.build.cwd, web.build.timeout_s) == ("/p/shop/sub", 90.0)
    assert (web.on_change[0].run, web.on_change[0].where) == (("/bin/sh", "-c", "x | y"), model.Where.LAPTOP)
    assert [forward.port for forward in web.ports] == [22, 8000]
    assert web.wait_first_sync is True
    assert config.forwards == (values.Forward(5432, "postgres", 5432, 5432),)
    assert config.argocd is not None
    assert config.argocd.templates == "/p/deploy"
    assert config.watch.poll_s == 0.5


def test_the_model_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read(GOOD).name = "x"


def test_an_optional_key_with_nothing_behind_it_is_as_if_not_written() -> None:
    assert read(GOOD + "    ports:\n    reload:\ncontext:\nname: ~\n") == read(GOOD)


HEAD = "version: 1\nservices:\n  web:\n    target: {local: t}\n    sync: [{from: s, to: /app}]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1:1: the file is empty"]),
        ("# nothing\n", ["1:1: the file is empty"]),
        ("[]", ["1:1: the file must hold keys and values"]),
        ("hello", ["1:1: the file must hold keys and values"]),
        ("services: {}", ["1:1: the key version is missing"]),
        ("version: 2\nfuture: 1", ["1:10: expected version 1, found '2'"]),
        ("version:\n", ["1:1: expected version 1, found nothing"]),
        ("version: [1]\n", ["1:10: expected version 1, found a list"]),
        ("version: 1\n", ["1:1: services: there is nothing to do"]),
        ("version: 1\nservices: []\n", ["2:11: services: expected a mapping, found a list"]),
        ("version: 1\nservices:\n  web:\n", ["3:7: services.web: expected a mapping, found nothing"]),
        ("version: 1\nservices:\n  web: {}\n", ["3:3: services.web.sync: the key is missing"]),
        (
            "version: 1\nservices:\n  web: {sync: []}\n",
            ["3:15: services.web.sync: at least one is needed"],
        ),
        ("version: 1\nservices:\n  a b: {}\n", [
            "3:3: services.a b: 'a b' cannot be a name",
            "3:3: services.a b.sync: the key is missing",
        ]),
        (HEAD + "    prots: [80]\n", ["6:5: services.web.prots: unknown key"]),
        (HEAD + "wacht: {}\n", ["6:1: wacht: unknown key"]),
        (HEAD + "    command: python app.py\n", ["6:14: services.web.command: a command is a list of words"]),
        (HEAD + "    ports: 80\n", ["6:12: services.web.ports: expected a list, found '80'"]),
        (HEAD + "    ports: [70000, {}]\n", [
            "6:13: services.web.ports[0]: 70000 is not a port",
            "6:20: services.web.ports[1]: expected text, found a mapping",
        ]),
        (HEAD + "    wait_first_sync: maybe\n", [
            "6:22: services.web.wait_first_sync: expected true or false, found 'maybe'"
        ]),
        (HEAD + "    env: {A: }\n", ["6:14: services.web.env.A: expected text, found nothing"]),
        (HEAD + "    env: {A=B: c}\n", [
            "6:11: services.web.env.A=B: 'A=B' cannot be the name of an environment variable"
        ]),
        (HEAD + "    reload: restart\n", [
            "6:13: services.web.reload: expected one of none, supervise, signal, command, found 'restart'"
        ]),
        (HEAD + "    reload: {mode: signal}\n    command: [a]\n", [
            "6:13: services.web.reload: mode: signal does not say which signal"
        ]),
        (HEAD + "    reload: {grace: 5}\n", ["6:21: services.web.reload.grace: the duration '5' has no unit"]),
        (HEAD + "watch: {poll: 1ms}\n", ["6:15: watch.poll: 1ms is too often"]),
        (HEAD + "    on_change: [{paths: [], run: [x]}]\n", [
            "6:25: services.web.on_change[0].paths: at least one is needed"
        ]),
        (HEAD + "    on_change: [{paths: ['[a'], run: [x], in: cloud}]\n", [
            "6:26: services.web.on_change[0].paths[0]: '[a' has a '[' without ']' and matches nothing",
            "6:47: services.web.on_change[0].in: expected one of pod, laptop, found 'cloud'",
        ]),
        (HEAD.replace("/app", "/etc"), [
            "5:26: services.web.sync[0].to: /etc belongs to the system and cannot be synced to"
        ]),
        (HEAD.replace("/app", "app"), ["5:26: services.web.sync[0].to: 'app' is not an absolute path"]),
        (HEAD.replace("from: s", "from: "), ["5:13: services.web.sync[0].from: the key is missing"]),
        (HEAD.replace("from: s, ", ""), ["5:12: services.web.sync[0].from: the key is missing"]),
        (HEAD + "    container: a_b\n", ["6:16: services.web.container: 'a_b' is not a Kubernetes name"]),
        (HEAD + "  web: {}\n", ["6:3: the key 'web' is given twice"]),
        (HEAD + "\tname: x\n", ["6:1: a tab where YAML wants spaces"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_line_and_column(text: str, expected: list[str]) -> None:
    assert complaints(text) == [f"devloop.yaml:{line}" for line in expected]


def test_a_misspelt_key_is_told_the_right_one() -> None:
    with pytest.raises(errors.ConfigErrors) as caught:
        read(HEAD + "    prots: [80]\n    qqq: 1\n")
    first, second = caught.value.errors
    assert first.hint == "did you mean 'ports'?"
    assert second.hint.startswith("known here: build, command, container")


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    text = "version: 1\nname: '-'\nservices:\n  a: {sync: [{from: x, to: y, z: 1}], bogus: 1}\n  b: 5\n"
    assert [line.split(":")[1] for line in complaints(text)] == ["2", "4", "4", "4", "5"]


def test_the_overlay_merges_mappings_replaces_the_rest_and_removes_with_nothing() -> None:
    base = GOOD + "    env: {A: 1, B: 2}\n    ports: [80, 81]\n    reload: supervise\n    command: [x]\nname: base\n"
    config = read(
        base, "services: {web: {env: {B: 3, C: 4}, ports: [82], command: [y]}, new: {workload: pod/x, sync: "
        "[{from: n, to: /n}]}}\nname: null\n"
    )  # fmt: skip
    web = config.services["web"]
    assert web.env == {"A": "1", "B": "3", "C": "4"}
    assert [forward.port for forward in web.ports] == [82]
    assert web.command == ("y",)
    assert web.reload.mode is model.Mode.SUPERVISE
    assert config.name == "shop"
    assert set(config.services) == {"web", "new"}


def test_the_overlay_turns_a_workload_into_a_local_target() -> None:
    base = "version: 1\nservices:\n  web:\n    workload: deployment/web\n    sync: [{from: s, to: /app}]\n"
    web = read(base, "services: {web: {workload: null, target: {local: t}}}").services["web"]
    assert web.workload is None
    assert web.target == model.Target(local="/p/shop/t")


def test_an_empty_overlay_changes_nothing() -> None:
    assert read(GOOD, "# mine\n") == read(GOOD)


def test_errors_point_to_the_file_that_holds_the_value() -> None:
    found = complaints(GOOD + "name: '-'\n", "\nservices: {web: {ports: [x], bogus: 1}}\n")
    assert found == [
        "devloop.yaml:7:7: name: '-' cannot be a name",
        "devloop.local.yaml:2:26: services.web.ports[0]: 'x' is not a port",
        "devloop.local.yaml:2:30: services.web.bogus: unknown key",
    ]


def test_what_the_overlay_replaced_is_not_looked_at() -> None:
    assert read(GOOD + "name: ${UNSET}\n", "name: fine").name == "fine"


def test_removing_an_unknown_key_is_told_as_the_misspelling_it_is() -> None:
    assert complaints(GOOD, "servces: null") == ["devloop.local.yaml:1:1: servces: unknown key"]


def test_variables_are_replaced_after_parsing() -> None:
    config = read(GOOD + "name: ${N:-fall}-${M}\n", environ={"N": "", "M": "m"})
    assert config.name == "fall-m"
    hostile = read(GOOD + "    env: {A: '${X}', B: '$${X}', C: $X}\n", environ={"X": "a: [b}\n*c"})
    assert hostile.services["web"].env == {"A": "a: [b}\n*c", "B": "${X}", "C": "$X"}


def test_an_unset_variable_is_the_only_thing_wrong_with_its_value() -> None:
    assert complaints(GOOD + "namespace: ${NOBODY}\nname: '-'\n") == [
        "devloop.yaml:7:12: the variable NOBODY is not set",
        "devloop.yaml:8:7: name: '-' cannot be a name",
    ]


def test_reading_from_disk_finds_the_overlay_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "devloop.yaml"
    file.write_text(GOOD)
    assert load.load(str(file), environ={}).overlay == ""
    (tmp_path / "devloop.local.yaml").write_text("name: mine")
    project = load.load(str(file), shown="devloop.yaml", environ={})
    assert (project.config.name, project.folder, project.file) == ("mine", str(tmp_path), str(file))
    assert project.overlay == str(tmp_path / "devloop.local.yaml")
    assert project.config.services["web"].sync[0].source == str(tmp_path)


def test_files_that_cannot_be_read_are_config_errors(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="there is no file x"):
        load.load(str(tmp_path / "x.yaml"), shown="x.yaml")
    (tmp_path / "devloop.yaml").write_text(GOOD)
    (tmp_path / "devloop.local.yaml").mkdir()
    with pytest.raises(errors.ConfigError, match="cannot be read: Is a directory") as caught:
        load.load(str(tmp_path / "devloop.yaml"), shown="devloop.yaml")
    assert caught.value.location() == "devloop.local.yaml:1:1"


def test_bad_sources_are_told_where_from_is_written(tmp_path: Path) -> None:
    file = tmp_path / "devloop.yaml"
    file.write_text(HEAD)
    project = load.load(str(file), shown="devloop.yaml", environ={})
    (bad,) = load.check_sources(project)
    assert (bad.service, bad.index, bad.error.error_code) == ("web", 0, "DL0206")
    assert bad.error.location() == "devloop.yaml:5:19"
    assert bad.error.message == f"services.web.sync[0].from: the folder {tmp_path}/s does not exist"
    (tmp_path / "s").mkdir()
    assert load.check_sources(project) == []
    assert load.check_sources(project, ["other"]) == []


@pytest.mark.parametrize(("folder", "name"), [("/p/my shop!", "my-shop"), ("/", "project"), ("/p/ä", "project")])
def test_the_folder_lends_the_project_its_name(folder: str, name: str) -> None:
    assert load.name_of(folder) == name


KEYS = st.sampled_from(
    [*model.Config.yaml_keys(), *model.Service.yaml_keys(), *model.Sync.yaml_keys(), "web", "<<", "x", "local"]
)
SCALARS = st.one_of(
    st.sampled_from(
        ["1", "~", ".", "/app", "5s", "on", "8080:80", "deployment/x", "${X}", "${X:-1}", "$$", "''", "&a 1"]
    ),
    st.sampled_from(["*a", "supervise", "[", "{", "!!x 1", "\t", "|"]),
    st.text(max_size=6),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(KEYS, inner, max_size=4).map(
            lambda entries: "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"
        ),
    ),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, TREES, max_size=5), st.one_of(st.none(), TREES))
def test_whatever_is_written_is_loaded_or_a_config_error(entries: dict[str, str], overlay: str | None) -> None:
    text = "version: 1\n" + "".join(f"{key}: {value}\n" for key, value in entries.items())
    main = load.Text("devloop.yaml", text.encode("utf-8", "surrogatepass"))
    over = load.Text("devloop.local.yaml", overlay.encode("utf-8", "surrogatepass")) if overlay is not None else None
    try:
        config, _ = load.assemble(main, over, folder="/p", environ={"X": "y"})
    except errors.ConfigError as error:
        assert error.location()
        assert error.message
    else:
        assert all(os.path.isabs(sync.source) for service in config.services.values() for sync in service.sync)
