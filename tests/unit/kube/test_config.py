"""Which cluster is chosen, over which way, and which one is refused."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from devloop import errors
from devloop.kube import config


def write(path: Path, cluster: dict[str, Any], name: str = "dev", namespace: str = "") -> str:
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": name,
                "clusters": [{"name": "c", "cluster": cluster}],
                "contexts": [{"name": name, "context": {"cluster": "c", "namespace": namespace}}],
            }
        )
    )
    return str(path)


def load(
    tmp_path: Path, cluster: dict[str, Any], environ: dict[str, str] | None = None, **choice: str
) -> config.Cluster:
    return config.load(config.Choice(kubeconfig=write(tmp_path / "k", cluster), **choice), environ or {})


def test_the_flag_goes_before_the_variable_and_that_before_the_home(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    home = str(tmp_path / ".kube" / "config")
    assert config.files(config.Choice(), environ) == [home]
    assert config.files(config.Choice(), {**environ, "KUBECONFIG": "/a::/b"}) == ["/a", "/b"]
    assert config.files(config.Choice(kubeconfig="/c"), {**environ, "KUBECONFIG": "/a"}) == ["/c"]


def test_another_context_than_the_projects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.ContextError) as caught:
        load(tmp_path, {"server": "https://x"}, project_context="prod")
    assert caught.value.error_code == "DL0711" and "--context prod" in caught.value.hint
    assert load(tmp_path, {"server": "https://x"}, project_context="dev").context == "dev"


def test_the_namespace_is_the_flags_the_projects_the_contexts_or_default(tmp_path: Path) -> None:
    file = write(tmp_path / "k", {"server": "https://x"}, namespace="theirs")
    choices = [
        config.Choice(kubeconfig=file, namespace="flag", project_namespace="project"),
        config.Choice(kubeconfig=file, project_namespace="project"),
        config.Choice(kubeconfig=file),
    ]
    assert [config.load(choice, {}).namespace for choice in choices] == ["flag", "project", "theirs"]
    assert load(tmp_path, {"server": "https://x"}).namespace == "default"


def test_tls_settings_are_taken_over(tmp_path: Path) -> None:
    data = base64.b64encode(b"-----BEGIN").decode()
    found = load(tmp_path, {"server": "https://x/", "certificate-authority": "ca.crt", "tls-server-name": "api"})
    assert found.server == "https://x"
    assert found.tls == config.Tls(authority_file=str(tmp_path / "ca.crt"), server_name="api")
    both = {"server": "https://x", "certificate-authority": "ca.crt", "certificate-authority-data": data}
    assert load(tmp_path, both).tls == config.Tls(authority="-----BEGIN")
    assert not load(tmp_path, {"server": "https://x", "insecure-skip-tls-verify": True}).tls.verify


@pytest.mark.parametrize(
    "cluster",
    [
        {},
        {"server": "ftp://x"},
        {"server": "https://x:port"},
        {"server": "https://[::1"},
        {"server": "https://x", "insecure-skip-tls-verify": True, "certificate-authority": "ca"},
        {"server": "https://x", "certificate-authority-data": "%%%é"},
        {"server": "https://x", "proxy-url": "socks5://p"},
        {"server": 5},
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, cluster: dict[str, Any]) -> None:
    with pytest.raises(errors.KubeconfigError):
        load(tmp_path, cluster)


@pytest.mark.parametrize(
    ("server", "cluster_proxy", "environ", "used"),
    [
        ("https://x", "http://own:1", {"HTTPS_PROXY": "http://env:2"}, "http://own:1"),
        ("https://x", "", {"HTTPS_PROXY": "http://env:2"}, "http://env:2"),
        ("https://x", "", {"https_proxy": "env:2"}, "http://env:2"),
        ("https://x", "", {"HTTP_PROXY": "http://env:2"}, ""),
        ("https://a.corp:6443", "", {"HTTPS_PROXY": "http://env:2", "NO_PROXY": ".corp"}, ""),
        ("https://127.0.0.1:6443", "", {"HTTPS_PROXY": "http://env:2"}, ""),
    ],
)
def test_the_proxy_is_the_clusters_own_else_the_environments(
    tmp_path: Path, server: str, cluster_proxy: str, environ: dict[str, str], used: str
) -> None:
    assert load(tmp_path, {"server": server, "proxy-url": cluster_proxy}, environ).proxy == used


def test_in_a_pod_the_service_account_is_used_where_there_is_no_kubeconfig(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(errors.KubeconfigError, match="no service account token"):
        config.load(config.Choice(), environ, service_account=str(tmp_path))
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("mine\n")
    found = config.load(config.Choice(), environ, service_account=str(tmp_path))
    assert (found.server, found.namespace, found.context) == ("https://[fd00::1]:443", "mine", "in-cluster")
    assert found.user.token_file == str(tmp_path / "token")
    with pytest.raises(errors.ContextError):
        config.load(config.Choice(project_context="dev"), environ, service_account=str(tmp_path))


def test_without_any_kubeconfig_it_is_said_where_one_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(errors.KubeconfigError) as caught:
        config.load(config.Choice(), {"HOME": str(tmp_path)})
    assert "~/.kube/config" in caught.value.hint
