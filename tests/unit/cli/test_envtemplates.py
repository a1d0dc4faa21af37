"""Where the templates checkout is, and pushing it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from devloop import errors
from devloop.argocd import upstream
from devloop.cli import envtemplates, options
from tests.unit.argocd import clones
from tests.unit.cli import environments

SETTINGS = options.Settings()


@pytest.fixture
def there(tmp_path: Path) -> clones.Clones:
    return clones.Clones(tmp_path)


def test_the_folder_that_the_project_names(tmp_path: Path) -> None:
    assert envtemplates.folder(SETTINGS) == ""
    environments.project()
    assert envtemplates.folder(SETTINGS) == ""
    environments.project("argocd: {templates: sub/tpl}\n")
    assert envtemplates.folder(SETTINGS).endswith("/sub/tpl")


async def test_an_overwrite_that_loses_commits_is_asked(there: clones.Clones) -> None:
    there.commit(there.mine, "a.yaml", "a\n")
    one = await upstream.look(str(there.mine))
    await envtemplates.pushed(SETTINGS, one, force=False, yes=False)
    seen = there.head()
    clones.git(there.mine, "commit", "-q", "--amend", "-m", "other words")
    one = await upstream.look(str(there.mine))
    with pytest.raises(errors.UsageError, match="1 commit that only it has"):
        await envtemplates.pushed(SETTINGS, one, force=True, yes=False)
    assert there.head() == seen
    await envtemplates.pushed(SETTINGS, one, force=True, yes=True)
    assert there.head() == one.head


def test_forcing_what_was_never_pushed_is_an_ordinary_push(there: clones.Clones) -> None:
    async def push() -> None:
        await envtemplates.pushed(SETTINGS, await upstream.look(str(there.mine)), force=True, yes=False)

    asyncio.run(push())
    assert there.head() == clones.git(there.mine, "rev-parse", "HEAD")
