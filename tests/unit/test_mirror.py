"""Every module has its tests where everybody looks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

REPO: Final = Path(__file__).resolve().parents[2]

# Modules without a test file of their own, each with the reason.
EXCEPTIONS: Final[dict[str, str]] = {
    "devloop/argocd/backend.py": "a Protocol without code, and the values that it takes",
    "devloop/core/appevents.py": "values without behaviour; core/test_supervisor.py feeds and expects every one",
    "devloop/core/appstate.py": "values without behaviour; core/test_supervisor.py",
    "devloop/daemon/context.py": "values without behaviour; daemon/service_bench.py makes one for every service",
    "devloop/doctor/facts.py": "values without behaviour; doctor/test_checks.py and its siblings make them",
    "devloop/podspec/outcome.py": "values without behaviour; podspec/test_inject.py expects every one",
    "devloop/protocol/commands.py": "values without behaviour; protocol/test_inbound.py makes every one",
    "devloop/protocol/events.py": "values without behaviour; tests/protocol/test_handshake.py expects every one",
    "devloop/protocol/version.py": "constants; tests/protocol/test_handshake.py tells what they decide",
    "devloop/wire/channel.py": "Protocols without code",
    "devloop/ui/view.py": "a Protocol without code",
}


def modules() -> list[Path]:
    found = [path.relative_to(REPO) for package in ("devloop", "agent") for path in (REPO / package).rglob("*.py")]
    return sorted(path for path in found if path.name not in {"__init__.py", "__main__.py"})


def home_of(module: Path) -> Path:
    parts = module.parts[1:] if module.parts[0] == "devloop" else module.parts
    return Path("tests", "unit", *parts[:-1], f"test_{parts[-1]}")


def test_every_module_has_its_test_file() -> None:
    missing = [str(module) for module in modules() if not (REPO / home_of(module)).exists()]
    assert sorted(set(missing) - set(EXCEPTIONS)) == []


def test_no_exception_has_outlived_its_reason() -> None:
    assert [name for name in EXCEPTIONS if (REPO / home_of(Path(name))).exists()] == []
    assert [name for name in EXCEPTIONS if not (REPO / name).exists()] == []


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in (REPO / "tests").rglob("test_*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []
