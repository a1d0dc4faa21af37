from __future__ import annotations

import re
from typing import Any

import yaml

from devloop.manifests import filter as manifests
from devloop.manifests import snippet, workloads
from devloop.podspec import inject
from tests.unit.manifests import texts
from tests.unit.podspec import cases


def pieces(**service: Any) -> dict[str, object]:
    """Return what each template prints where devloop is enabled."""
    value = yaml.safe_load(texts.DEPLOYMENT.replace("2020-01-01", "x"))
    value["spec"]["template"]["spec"]["containers"][0] |= {
        "command": ["x"],
        "livenessProbe": {"tcpSocket": {"port": 1}},
    }
    (found,) = workloads.find(value)
    wanted: manifests.Wanted = texts.wanted(**service)
    new = inject.inject(found.pod(), wanted.service, cases.platform()).pod
    text = snippet.snippet(found, new)
    pattern = r'define "devloop\.(\w+)" -}}\n{{- if \(\.Values\.devloop\)\.enabled }}\n(.*?){{- end }}\n{{- end }}\n'
    return {
        found[1]: yaml.safe_load(found[2].replace('{{ "{{" }}', "{{"))
        for found in re.finditer(pattern, text, re.DOTALL)
    }


def test_the_pieces_are_what_the_injection_adds() -> None:
    made = pieces(supervise=True, env=[["A", "{{ b }}"]])
    assert sorted(made) == ["annotations", "container", "env", "initContainers", "volumeMounts", "volumes"]
    assert made["env"] == [{"name": "A", "value": "{{ b }}"}]
    container = made["container"]
    assert isinstance(container, dict) and sorted(container) == ["args", "command"]


def test_without_changes_to_the_container_there_is_no_piece_for_it() -> None:
    assert sorted(pieces()) == ["annotations", "initContainers", "volumeMounts", "volumes"]
