"""Words that Kubernetes must pass on as they are.

The kubelet replaces `$(NAME)` in commands, arguments and variables, and turns `$$` into `$`
(k8s.io/kubernetes, third_party/forked/golang/expansion). What devloop.yaml says is meant literally, so that it is
the same on a target of the laptop; the pod's own words keep their meaning.
"""

from __future__ import annotations

from collections.abc import Iterable


def word(text: str) -> str:
    """Return what must be written so that the container sees `text`."""
    return text.replace("$", "$$") if "$(" in text or "$$" in text else text


def words(texts: Iterable[str]) -> list[str]:
    """Return `word` of each."""
    return [word(text) for text in texts]
