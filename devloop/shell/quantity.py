"""Kubernetes' quantities, such as `250m` or `1Gi`, as `resourceFieldRef` gives them to a container.

Pure. The suffixes are those of k8s.io/apimachinery, `resource.Quantity`.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Final

_SUFFIXES: Final[dict[str, Fraction]] = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "": Fraction(1),
    **{name: Fraction(1000) ** power for power, name in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{name: Fraction(1024) ** power for power, name in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}
_FORM: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)")


def parse(text: str) -> Fraction:
    """Return a quantity as a number.

    Raises:
        ValueError: It is none.
    """
    found = _FORM.fullmatch(text)
    if found is None or (found[3] or "") not in _SUFFIXES:
        raise ValueError(f"{text!r} is no quantity")
    power = int(found[2][1:]) if found[2] else 0
    return Fraction(found[1]) * Fraction(10) ** power * _SUFFIXES[found[3] or ""]


def divided(text: str, divisor: str) -> str:
    """Return a quantity in units of a divisor, rounded up, as the kubelet writes it into a variable.

    Args:
        text: The quantity.
        divisor: The unit; empty or 0 for 1.

    Raises:
        ValueError: One of them is no quantity.
    """
    unit = parse(divisor or "1") or Fraction(1)
    return str(math.ceil(parse(text) / unit))
