"""An API server that says what each test wants, for the webhook to ask back."""

from __future__ import annotations

from tests.unit.kube.conftest import api, server

__all__ = ["api", "server"]
