"""Checkouts of templates, written to disk for a test."""

from __future__ import annotations

import subprocess
from pathlib import Path

from devloop.argocd import checkout
from devloop.argocd.manifestfiles import Tree

REPO = "https://git.example/team/templates.git"


def manifest(name: str, kind: str = "Deployment") -> str:
    return f"apiVersion: apps/v1\nkind: {kind}\nmetadata:\n  name: {name}\n"


def tree(folder: Path, files: dict[str, str]) -> Tree:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Tree(str(folder.resolve()))


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def clone(folder: Path, files: dict[str, str], repo: str = REPO) -> checkout.Clone:
    made = tree(folder, files)
    git(folder, "init", "-q")
    git(folder, "remote", "add", "origin", repo)
    return checkout.Clone(made.root, {"origin": repo}, "main")
