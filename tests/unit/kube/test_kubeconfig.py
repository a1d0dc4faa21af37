"""Kubeconfig files, merged as kubectl merges them."""

from __future__ import annotations

from pathlib import Path

import pytest

from devloop import errors
from devloop.kube import kubeconfig

ONE = """
current-context: one
clusters: [{name: c, cluster: {server: "https://one", certificate-authority: ca.crt}}]
users: [{name: u, user: {tokenFile: token, client-key: null, as-groups: [a, b]}}]
contexts: [{name: one, context: {cluster: c, user: u, namespace: dev}}]
"""
TWO = """
current-context: two
clusters: [{name: c, cluster: {server: "https://two"}}, {name: d, cluster: {server: "https://d"}}]
users: null
contexts: [{name: two, context: {cluster: d}}, {name: staging, context: {cluster: nowhere, user: nobody}}]
"""


def write(path: Path, text: str) -> str:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    return str(path)


def test_the_first_file_wins_for_the_current_context_and_for_each_entry(tmp_path: Path) -> None:
    files = [write(tmp_path / "a" / "config", ONE), write(tmp_path / "b" / "config", TWO)]
    merged = kubeconfig.read([str(tmp_path / "missing"), *files])
    assert merged is not None and merged.files == tuple(files)
    chosen = merged.choose()
    assert (chosen.name, chosen.cluster.server, chosen.context.namespace) == ("one", "https://one", "dev")
    assert chosen.cluster_folder == str(tmp_path / "a") and chosen.user.token_file == "token"
    assert chosen.user.impersonate_groups == ["a", "b"]
    assert merged.choose("two").cluster.server == "https://d" and merged.choose("two").user == kubeconfig.User()


def test_no_file_is_none_but_one_that_was_named_must_be_there(tmp_path: Path) -> None:
    assert kubeconfig.read([str(tmp_path / "x")]) is None
    with pytest.raises(errors.KubeconfigError, match="no kubeconfig"):
        kubeconfig.read([str(tmp_path / "x")], explicit=True)


def test_unknown_names_are_told_with_those_that_are_near(tmp_path: Path) -> None:
    merged = kubeconfig.read([write(tmp_path / "config", TWO)])
    assert merged is not None
    with pytest.raises(errors.KubeconfigError) as caught:
        merged.choose("stagging")
    assert caught.value.hint == "did you mean staging?" and caught.value.exit_status == 2
    with pytest.raises(errors.KubeconfigError, match="no cluster 'nowhere', which context staging names"):
        merged.choose("staging")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not YAML, line"),
        ("- 1", "no mapping"),
        ("clusters: {a: b}", "clusters must be a list"),
        ("contexts: [{context: {}}]", "contexts must be a list of named entries"),
        ("\x00", "not YAML"),
        ("", "no current context"),
        ("current-context: x\ncontexts: [{name: x, context: {cluster: [1]}}]", r"context 'x' .* is not valid"),
    ],
)
def test_what_is_no_kubeconfig_is_told(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(errors.KubeconfigError, match=words):
        merged = kubeconfig.read([write(tmp_path / "config", text)])
        assert merged is not None
        merged.choose()


def test_a_folder_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.KubeconfigError, match="cannot be read"):
        kubeconfig.read([str(tmp_path)])
