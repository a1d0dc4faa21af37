"""Make a docker-archive of one layer from a folder: `archive.py FOLDER NAME ARCHIVE COMMAND...`.

The format is the one of `docker save`, which containerd, buildah, kind and others read. No container engine is needed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def main(folder: str, name: str, archive: str, *command: str) -> None:
    fresh, layer = f"{archive}.{os.getpid()}.new", f"{archive}.{os.getpid()}.layer"
    try:
        subprocess.check_call(["tar", "--numeric-owner", "-C", folder, "-cf", layer, "."])
        write(fresh, layer, name, command)
        os.rename(fresh, archive)
    finally:
        for leftover in (fresh, layer):
            if os.path.exists(leftover):
                os.unlink(leftover)


def write(archive: str, layer: str, name: str, command: tuple[str, ...]) -> None:
    with open(layer, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    machine = platform.machine()
    config = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {"Cmd": command, "Env": [PATH]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{}],
    }
    raw = json.dumps(config).encode()
    config_name, layer_name = f"{hashlib.sha256(raw).hexdigest()}.json", f"{digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [layer_name]}]
    with tarfile.open(archive, "w") as out:
        for member, data in ((config_name, raw), ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
        out.add(layer, layer_name)


if __name__ == "__main__":
    main(*sys.argv[1:])
