# SPDX-License-Identifier: MIT
"""The flash of the emulated board: MicroPython, and a littlefs with the firmware's own files.

boot.py and main.py are the source files. Packages are compiled to .mpy, as `make compile` does:
the board could compile the sources itself, but its heap would be torn by it.
"""

import struct
from pathlib import PurePosixPath

from hil.targets.firmware import TargetError
from host_tools.compile import CompileError, sources
from host_tools.compile import compiled as compile_for_board

FLASH_BYTES = 2 << 20
FLASH_ADDRESS = 0x10000000
FILES_OFFSET = 0xA0000  # MICROPY_HW_FLASH_STORAGE_BASE of a board with 2 MB
BLOCK_BYTES = 4096
BLOCKS = 352
_UF2_BLOCK = 512
_UF2_MAGIC = 0x0A324655
_LITTLEFS_2_0 = 0x00020000  # what the images mount
_DRIVER = {"read_size": 32, "prog_size": 256, "disk_version": _LITTLEFS_2_0}


def flash_image(uf2, files):
    """`uf2`: MicroPython. `files`: path on the board -> bytes."""
    flash = bytearray(b"\xff" * FLASH_BYTES)
    for start in range(0, len(uf2), _UF2_BLOCK):
        magic, _, _, address, count = struct.unpack_from("<5I", uf2, start)
        if magic == _UF2_MAGIC and address >= FLASH_ADDRESS:
            offset = address - FLASH_ADDRESS
            flash[offset : offset + count] = uf2[start + 32 : start + 32 + count]
    filesystem = littlefs(files)
    flash[FILES_OFFSET : FILES_OFFSET + len(filesystem)] = filesystem
    return bytes(flash)


def littlefs(files):
    try:
        from littlefs import LittleFS
    except ImportError:
        reason = "littlefs-python is missing: pip install 'firmline[pico]'"
        raise TargetError(f"target pico: {reason}") from None
    system = LittleFS(block_size=BLOCK_BYTES, block_count=BLOCKS, **_DRIVER)
    for name, data in files.items():
        parent = PurePosixPath(name).parent
        if parent.parts:
            system.makedirs(str(parent), exist_ok=True)
        with system.open(name, "wb") as file:
            file.write(data)
    return bytes(system.context.buffer)


def firmware_files(config_text, is_compiled=True):
    """Everything that goes onto the board for `config_text`."""
    files = {"config.json": config_text.encode()}
    for path, name in sources():
        if is_compiled and "/" in name:
            files[name.removesuffix(".py") + ".mpy"] = compiled(path, name)
        else:
            files[name] = path.read_bytes()
    return files


def compiled(path, name):
    try:
        return compile_for_board(path, name)
    except CompileError as error:
        raise TargetError(f"target pico: {error}") from None
