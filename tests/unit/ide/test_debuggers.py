from __future__ import annotations

from typing import Any

import pytest

from devloop import errors
from devloop.config import model
from devloop.ide import debuggers
from devloop.ide.debuggers import Found, Kind


def service(command: list[str] | dict[str, str] | None = None, **more: Any) -> model.Service:
    return model.Service.model_validate(
        {"workload": "deployment/web", "sync": [{"from": "/w", "to": "/app"}], "command": command, **more}
    )


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (["python", "-m", "debugpy", "--listen", "0.0.0.0:5679", "app.py"], Found(Kind.DEBUGPY, 5679)),
        (["python", "-mdebugpy", "--listen", "5678", "-m", "app"], Found(Kind.DEBUGPY, 5678)),
        (["/venv/bin/debugpy", "--listen", "[::]:4444", "app.py"], Found(Kind.DEBUGPY, 4444)),
        (["python", "-m", "debugpy", "--connect", "5678", "app.py"], None),
        (["node", "--inspect", "server.js"], Found(Kind.NODE, 9229)),
        (["node", "--inspect-brk=0.0.0.0:9230", "server.js"], Found(Kind.NODE, 9230)),
        (["node", "--inspect", "--inspect-port=127.0.0.1:9300", "server.js"], Found(Kind.NODE, 9300)),
        (["java", "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=*:5006"], Found(Kind.JDWP, 5006)),
        (["java", "-Xrunjdwp:transport=dt_socket,server=y,address=8787", "-jar", "a"], Found(Kind.JDWP, 8787)),
        (["java", "-agentlib:jdwp=transport=dt_socket,server=n,address=ide:5005"], None),
        (["dlv", "exec", "--headless", "--listen=:40000", "./app"], Found(Kind.DLV, 40000)),
        (["/go/bin/dlv", "debug", "--headless=true", "-l", "127.0.0.1:2346"], Found(Kind.DLV, 2346)),
        (["dlv", "exec", "--headless", "./app"], Found(Kind.DLV, 2345)),
        (["dlv", "debug", "./app"], None),
        ({"shell": "cd web && exec python -m debugpy --listen 5680 app.py"}, Found(Kind.DEBUGPY, 5680)),
        ({"shell": "node --inspect=9231 it's.js"}, Found(Kind.NODE, 9231)),
        (["node", "--inspect=99999", "server.js"], Found(Kind.NODE, 9229)),
        (["python", "app.py"], None),
        (None, None),
    ],
)
def test_the_command_tells(command: list[str] | dict[str, str] | None, found: Found | None) -> None:
    assert debuggers.detect(service(command)) == found


def test_variables_tell() -> None:
    assert debuggers.detect(service(env={"NODE_OPTIONS": "--max-old-space-size=64 --inspect=0.0.0.0:9240"})) == Found(
        Kind.NODE, 9240
    )
    options = "-Xmx1g -agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=5007"
    assert debuggers.detect(service(env={"JAVA_TOOL_OPTIONS": options})) == Found(Kind.JDWP, 5007)


@pytest.mark.parametrize(
    ("port", "kind"), [("5678", "debugpy"), ("1:9229", "node"), ("5005", "jdwp"), ("2345", "dlv"), ("40000", "dlv")]
)
def test_ports_tell_where_the_command_does_not(port: str, kind: str) -> None:
    found = debuggers.detect(service(ports=["8000", port]))
    assert found is not None and found.kind == kind
    assert debuggers.detect(service(["node", "--inspect", "x.js"], ports=["5678"])) == Found(Kind.NODE, 9229)


def test_the_command_line_overrides() -> None:
    assert debuggers.override("web=debugpy") == ("web", Found(Kind.DEBUGPY, 5678))
    assert debuggers.override("web=dlv:40001") == ("web", Found(Kind.DLV, 40001))


@pytest.mark.parametrize("text", ["web", "=debugpy", "web=gdb", "web=debugpy:", "web=debugpy:x", "web=node:70000", ""])
def test_a_wrong_override_is_refused(text: str) -> None:
    with pytest.raises(errors.UsageError):
        debuggers.override(text)
