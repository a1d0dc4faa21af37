"""Which Application a person means by a name: `shop`, or `NAMESPACE/shop` where there are several.

Pure. A name that fits none, or more than one, is an error that lists the ones that were probably meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final

from devloop import errors
from devloop.argocd import application

UNKNOWN: Final = "DL1010"
SEVERAL: Final = "DL1011"

_MAX_TOLD: Final = 12


def pick(some: Iterable[application.Application], text: str) -> application.Application:
    """Return the Application that a name means.

    Args:
        some: The Applications to choose among.
        text: NAME, or NAMESPACE/NAME; as in Argo CD's own command line.

    Raises:
        NotThereError: There is none of this name; with near ones.
        UsageError: There are several of this name, in different namespaces.
    """
    known = list(some)
    namespace, _, name = text.rpartition("/")
    found = [one for one in known if one.name == name and namespace in {"", one.reference.namespace}]
    if len(found) == 1:
        return found[0]
    if not found:
        raise unknown(text, [one.reference for one in known])
    listed = ", ".join(str(one.reference) for one in found)
    raise errors.UsageError(
        f"there are {len(found)} Applications {name}", hint=f"say which one is meant: {listed}", code=SEVERAL
    )


def picked(some: Sequence[application.Application], texts: Sequence[str]) -> list[application.Application]:
    """Return the Applications that names mean, each once; all of them where there is no name."""
    if not texts:
        return list(some)
    found = {one.reference: one for one in (pick(some, text) for text in texts)}
    return list(found.values())


def unknown(text: str, known: Sequence[application.Reference]) -> errors.NotThereError:
    """Return the error for an Application that is not there."""
    if not known:
        hint = "there are none that you may read; check --context and argocd.namespace"
    else:
        full = {str(each): each for each in known}
        near = difflib.get_close_matches(text, [*full, *(each.name for each in known)], n=3, cutoff=0.5)
        told = list(dict.fromkeys(near))
        more = len(known) - _MAX_TOLD
        listed = ", ".join(sorted(full)[:_MAX_TOLD]) + (f" and {more} more" if more > 0 else "")
        hint = f"did you mean {' or '.join(told)}?" if told else f"there are {listed}"
    return errors.NotThereError(f"there is no Application {text}", hint=hint, code=UNKNOWN)
