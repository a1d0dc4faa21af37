from __future__ import annotations

from devloop.config import injection, load
from devloop.podspec import request

TEXT = b"""
version: 1
services:
  web:
    workload: deployment/web
    container: app
    command: [python, app.py]
    workdir: /app/src
    env: {A: 1}
    image: web:dev
    probes: keep
    persist: [/app/node_modules]
    run_as: 1000:2000
    wait_first_sync: true
    sync: [{from: a, to: /app, seed: none}, {from: b, to: /b, seed: [x/**]}]
    reload: {mode: supervise, grace: 300ms}
  bare: {workload: deployment/bare, run_as: 7, sync: [{from: ., to: /app}]}
"""


def service(name: str) -> request.Service:
    config, _ = load.assemble(load.Text("f", TEXT), None, folder="/p", environ={})
    return injection.request_of(name, config.services[name])


def test_everything_that_a_pod_needs_to_know() -> None:
    assert service("web") == request.Service(
        name="web",
        syncs=(request.Sync("/app", ()), request.Sync("/b", ("x/**",))),
        container="app",
        supervise=True,
        command=("python", "app.py"),
        workdir="/app/src",
        env=(("A", "1"),),
        image="web:dev",
        probes=request.Probes.KEEP,
        persist=("/app/node_modules",),
        user=1000,
        group=2000,
        grace_s=0.3,
        wait_first_sync=True,
    )


def test_what_is_not_written_is_not_asked_for() -> None:
    assert service("bare") == request.Service("bare", (request.Sync("/app"),), user=7)
