# SPDX-License-Identifier: MIT
"""The two files of the target `pico` that no package ships, found by their SHA-256.

    python -m hil.targets.pico.assets [DIR]     what is there, what is missing, where it is from

Names do not matter, contents do: any file of the folder PICO_ASSETS with the right hash counts.
"""

import hashlib
import os
import re
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from hil.targets.firmware import TargetError

VARIABLE = "PICO_ASSETS"


@dataclass(frozen=True)
class Asset:
    """`sha256` is that of the bytes; sources are where a person gets them."""

    key: str
    name: str
    sha256: str
    sources: str


BOOTROM = Asset(
    "bootrom",
    "bootrom.bin",
    "90b31e108faedfa6bbcfcc33ba05dac61e645108cfbbdc385f8dafc71fde44ae",
    "the B1 binary (16,384 bytes) of a release of github.com/raspberrypi/pico-bootrom-rp2040, or "
    "demo/bootrom.ts of github.com/wokwi/rp2040js, which holds the same words",
)
MICROPYTHON = Asset(
    "micropython",
    "SEEED_XIAO_RP2040-20260406-v1.28.0.uf2",
    "27b41295467267c923ff5014ed622962d693f415e8a1089dc87f5c6731c9e3ec",
    "micropython.org/download/SEEED_XIAO_RP2040, release v1.28.0 (2026-04-06)",
)
ASSETS = (BOOTROM, MICROPYTHON)


def read(folder=None):
    """{asset: its bytes}. TargetError, one line, when there is no folder or a file is missing."""
    folder = folder or os.environ.get(VARIABLE)
    if not folder:
        raise TargetError(
            f"target pico: {VARIABLE} is not set: `make pico-assets` tells what it needs"
        )
    if not Path(folder).is_dir():
        raise TargetError(f"target pico: {VARIABLE}={folder}: no such folder")
    found = _by_hash(Path(folder))
    for asset in ASSETS:
        if asset.sha256 not in found:
            raise TargetError(
                f"target pico: no {asset.name} with the pinned SHA-256 in {folder}: "
                "see `make pico-assets`"
            )
    return {asset: found[asset.sha256] for asset in ASSETS}


def _by_hash(folder):
    contents = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in (".bin", ".uf2", ".ts"):
            data = path.read_bytes() if path.suffix != ".ts" else words_of(path.read_text())
            contents[hashlib.sha256(data).hexdigest()] = data
    return contents


def words_of(source):
    """The little-endian bytes of the 32-bit words written in a source text."""
    words = [int(word, 16) for word in re.findall(r"\b0x([0-9a-fA-F]{8})\b", source)]
    return struct.pack(f"<{len(words)}I", *words)


def main(arguments):
    folder = arguments[0] if arguments else os.environ.get(VARIABLE)
    is_there = bool(folder) and Path(folder).is_dir()
    found = _by_hash(Path(folder)) if is_there else {}
    print(
        f"folder: {folder or 'not given'}{'' if is_there or not folder else ' (does not exist)'}"
    )
    missing = 0
    for asset in ASSETS:
        is_found = asset.sha256 in found
        missing += not is_found
        print(f"\n{'found  ' if is_found else 'MISSING'}  {asset.name}")
        print(f"         SHA-256 {asset.sha256}")
        if not is_found:
            print(f"         from {asset.sources}")
    if missing:
        print(f"\nPut them into a folder, then: make pico-assets {VARIABLE}=/path/to/it")
        return 1
    print(f"\nready: export {VARIABLE}={Path(folder).resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
