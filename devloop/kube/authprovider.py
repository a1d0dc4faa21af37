"""Users with an `auth-provider`: the older way of getting tokens, inside of the client (OpenID Connect, Google).

The one place that imports the `kubernetes` package, and only for such users: its loader knows these protocols, and
keeps a renewed refresh token in the kubeconfig, without which the next login would fail.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any, Final

from devloop import errors
from devloop.kube import kubeconfig

KNOWN: Final = frozenset({"oidc", "gcp"})
TIMEOUT_S: Final = 30.0


class AuthProvider:
    """A user's tokens, renewed when they have expired.

    Args:
        files: The kubeconfig files.
        context: The context whose user it is.
        name: The provider's name.

    Raises:
        KubeconfigError: The provider is not known.
    """

    def __init__(self, files: Sequence[str], context: str, name: str) -> None:
        if name not in KNOWN:
            raise errors.KubeconfigError(
                f"the kubeconfig uses the auth-provider {name!r}, which kubectl has dropped as well",
                hint="use the exec plugin that replaced it; for azure that is kubelogin",
                code=kubeconfig.UNSUPPORTED_CODE,
            )
        self._files, self._context, self._name = tuple(files), context, name

    async def authorization(self) -> str:
        """Return the value of the Authorization header, from a token that is valid now.

        Raises:
            CredentialsError: There is none, and none can be had.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                # Half a second of imports would hold up everything else on the loop.
                loader = await asyncio.to_thread(self._loader)
                await loader._load_authentication()
        except TimeoutError:
            raise self._failed(f"did not answer within {TIMEOUT_S:g} s") from None
        except Exception as error:
            raise self._failed(f"failed: {type(error).__name__}: {error}") from None
        token = getattr(loader, "token", "")
        if not token:
            raise self._failed("gave no token")
        return str(token)

    def _loader(self) -> Any:
        from kubernetes.aio.config import kube_config

        merger = kube_config.KubeConfigMerger(os.pathsep.join(self._files))
        return kube_config.KubeConfigLoader(
            merger.config,
            active_context=self._context,
            config_base_path=None,
            config_persister=lambda _changed: merger.save_changes(),
        )

    def _failed(self, words: str) -> errors.CredentialsError:
        return errors.CredentialsError(
            f"the kubeconfig's auth-provider {self._name} {words}",
            hint="log in again; where it can be chosen, an exec plugin such as `kubectl oidc-login` is the better way",
        )
