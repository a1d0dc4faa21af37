"""Manifests and services that the tests share."""

from __future__ import annotations

from devloop.manifests import filter as manifests
from devloop.podspec import request
from tests.unit.podspec import cases

DEPLOYMENT = """\
# Source: web.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1   # one is enough

  template:
    metadata:
      labels: {app: web, tier: front}
    spec:
      # the containers
      containers:
        - name: app     # the app
          image: "web:1"
          workingDir: /app
          env:
            - name: WHEN
              value: 2020-01-01
            # the last variable was above
      securityContext: {runAsUser: 1000}
      # the end
"""

CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name:   odd}   # left as it is
data:
    a:   "b"
"""


def wanted(workload: str = "deployment/web", **service: object) -> manifests.Wanted:
    return manifests.Wanted(cases.service(**service), workload)


def inject(text: str, *services: manifests.Wanted, version: str = "1.30") -> manifests.Filtered:
    platform: request.Platform = cases.platform(version)
    return manifests.inject_all(text, "m.yaml", services or (wanted(),), platform)


def uninject(text: str, *services: str) -> manifests.Filtered:
    return manifests.uninject_all(text, "m.yaml", services)
