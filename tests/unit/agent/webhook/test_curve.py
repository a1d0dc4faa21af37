from __future__ import annotations

import subprocess
from pathlib import Path

from agent.webhook import curve, der

# RFC 6979, A.2.5: a key on P-256 and its public point.
_SECRET = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
_PUBLIC = (
    0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6,
    0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299,
)


def verified(folder: Path, key: curve.Key, message: bytes, signature: bytes) -> bool:
    (folder / "public.pem").write_text(der.pem("PUBLIC KEY", key.info()))
    (folder / "message").write_bytes(message)
    (folder / "signature").write_bytes(signature)
    argv = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "message"]
    return subprocess.run(argv, cwd=folder, capture_output=True, check=False).returncode == 0


def test_the_public_point_of_a_known_key() -> None:
    assert curve._times(_SECRET, curve._G) == _PUBLIC


def test_the_group_ends_where_it_should() -> None:
    assert curve._times(curve._N, curve._G) is None
    assert curve._times(curve._N + 1, curve._G) == curve._G
    assert curve._is_on_curve(curve._G)


def test_openssl_believes_a_signature_and_no_other_message(tmp_path: Path) -> None:
    key = curve.new()
    signature = key.sign(b"a message")
    assert verified(tmp_path, key, b"a message", signature)
    assert not verified(tmp_path, key, b"another message", signature)


def test_no_two_signatures_share_a_nonce() -> None:
    key = curve.Key(_SECRET, _PUBLIC)
    assert key.sign(b"a message") != key.sign(b"a message")


def test_openssl_reads_the_key(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(curve.new().pem())
    done = subprocess.run(["openssl", "ec", "-in", "key.pem", "-check", "-noout"], cwd=tmp_path, capture_output=True)
    assert b"Key valid" in done.stderr + done.stdout
