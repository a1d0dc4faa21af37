"""What the other tests lean on does what it says: weather on a line, parts of the cluster that stop and start."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.e2e import cluster, shapes, space, weather


@pytest.fixture
def line(whole: cluster.Cluster) -> Iterator[weather.Line]:
    config = whole.admin.json("config", "view", "--raw", "--minify", "--flatten")
    with weather.line_to(config["clusters"][0]["cluster"]["server"]) as made:
        yield made


def opened(line: weather.Line) -> http.client.HTTPSConnection:
    """Connect to the API server over the line, which tells anybody its version."""
    found = urlsplit(line.server)
    anyone = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection(found.hostname or "", found.port, context=anyone, timeout=5.0)
    connection.connect()
    return connection


def plain(line: weather.Line) -> socket.socket:
    found = urlsplit(line.server)
    return socket.create_connection((found.hostname, found.port), 5.0)


def ask(connection: http.client.HTTPSConnection) -> int:
    connection.request("GET", "/version")
    with connection.getresponse() as answer:
        answer.read()
        return answer.status


def test_fair_weather(ns: space.Space, line: weather.Line) -> None:
    assert ns.developer(server=line.server).json("get", "pods")["items"] == []


def test_a_stalled_line_is_silent_and_goes_on_where_it_was(line: weather.Line) -> None:
    connection = opened(line)
    line.stall()
    connection.request("GET", "/version")
    assert connection.sock is not None
    connection.sock.settimeout(1.0)
    with pytest.raises(TimeoutError):
        connection.sock.recv(1)
    line.clear()
    connection.sock.settimeout(5.0)
    assert connection.sock.recv(8) == b"HTTP/1.1"
    connection.close()


def test_a_cut_line_is_reset_and_can_be_had_anew(line: weather.Line) -> None:
    connection = opened(line)
    assert ask(connection) == 200
    # without TLS on top, which takes a reset for an end
    with plain(line) as idle:
        line.cut(refuse=True)
        with pytest.raises(ConnectionResetError):
            idle.recv(1)
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(connection)
    connection.close()
    # the reset comes as soon as the line has accepted, which may be before connect() has returned
    with pytest.raises(ConnectionResetError), plain(line) as refused:
        refused.recv(1)
    line.clear()
    fresh = opened(line)
    assert ask(fresh) == 200
    fresh.close()


def test_versions_are_compared_as_numbers() -> None:
    parse = cluster.Version.parse
    assert parse("1.9") < parse("1.20") < parse("v1.30.4") == parse("1.30+")


@pytest.mark.disruptive
@pytest.mark.parametrize("part", ["kubelet", "apiserver"])
def test_a_pod_outlives_the_restart_of(
    part: str, whole: cluster.Cluster, ns: space.Space, agent_image: str, app_image: str
) -> None:
    ns.apply(shapes.with_agent("web", agent_image, app_image, "sleep", "1000"))
    before = ns.ready("web")
    whole.restart(part)
    after = ns.ready("web")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert json.dumps(states(after)) == json.dumps(states(before))
    assert ns.exec("web", "echo", "there", container=shapes.APP) == "there\n"


@pytest.mark.disruptive
def test_an_api_server_that_is_down_answers_nobody_until_it_is_up(whole: cluster.Cluster) -> None:
    whole.stop("apiserver")
    try:
        with pytest.raises(cluster.CommandError, match="refused"):
            whole.admin("get", "namespaces")
    finally:
        whole.start("apiserver")
    assert "namespace/default" in whole.admin("get", "namespaces", "-o", "name")


def states(pod: dict[str, object]) -> list[object]:
    return [space.container_state(pod, name).get("state") for name in (shapes.APP, shapes.AGENT)]
