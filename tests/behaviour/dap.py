"""A client of the Debug Adapter Protocol: what an IDE does with a launch configuration, as small as it can be."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from devloop.ide import jsonc


class Adapter:
    """A client of the Debug Adapter Protocol, as small as it can be.

    Args:
        connected: To the adapter.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._stream = connected.makefile("rwb")
        self._sent = 0
        self.seen: list[dict[str, Any]] = []

    def send(self, command: str, **arguments: Any) -> int:
        self._sent += 1
        body = json.dumps({"seq": self._sent, "type": "request", "command": command, "arguments": arguments}).encode()
        self._stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._stream.flush()
        return self._sent

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        number = self.send(command, **arguments)
        return self.answer(number)

    def answer(self, number: int) -> dict[str, Any]:
        found = self._until(lambda each: each["type"] == "response" and each["request_seq"] == number)
        assert found["success"], found
        body: dict[str, Any] = found.get("body") or {}
        return body

    def event(self, name: str) -> dict[str, Any]:
        found = self._until(lambda each: each["type"] == "event" and each["event"] == name)
        body: dict[str, Any] = found.get("body") or {}
        return body

    def _until(self, fits: Any) -> dict[str, Any]:
        while True:
            for message in self.seen:
                if fits(message):
                    self.seen.remove(message)
                    return message
            size = 0
            while (line := self._stream.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            assert size, f"the adapter went away; seen: {self.seen}"
            self.seen.append(json.loads(self._stream.read(size)))


def breaks_at(line: socket.socket, given: dict[str, Any], source: str, number: int, function: str) -> None:
    """Attach with a launch configuration, set a breakpoint by the laptop's path and wait until it is hit.

    Args:
        line: Connected to the adapter.
        given: The configuration, without variables.
        source: The path of the file on the laptop.
        number: The line.
        function: The function that the line is in.
    """
    adapter = Adapter(line)
    adapter.ask("initialize", adapterID="debugpy", pathFormat="path", linesStartAt1=True, columnsStartAt1=True)
    attached = adapter.send("attach", **given)
    adapter.event("initialized")
    set_ = adapter.ask("setBreakpoints", source={"path": source}, breakpoints=[{"line": number}])
    assert set_["breakpoints"][0]["verified"], set_
    adapter.ask("configurationDone")
    adapter.answer(attached)
    stopped = adapter.event("stopped")
    assert stopped["reason"] == "breakpoint"
    [top, *_] = adapter.ask("stackTrace", threadId=stopped["threadId"])["stackFrames"]
    assert (top["source"]["path"], top["line"], top["name"]) == (source, number, function)
    adapter.ask("disconnect")


def configuration(folder: Path) -> dict[str, Any]:
    """Return the one configuration of `.vscode/launch.json` as VS Code hands it to the adapter."""
    node = jsonc.parse((folder / ".vscode/launch.json").read_text(), "launch.json")
    assert node is not None
    [found] = node.value["configurations"]
    made: dict[str, Any] = json.loads(json.dumps(found).replace("${workspaceFolder}", str(folder)))
    assert "${" not in json.dumps(made)
    return made
