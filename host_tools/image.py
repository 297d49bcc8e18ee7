# SPDX-License-Identifier: MIT
"""What is in a file that somebody wants to flash: a UF2 for RP2040/RP2350, a .bin for ESP32.

UF2: blocks of 512 bytes, each with three magic numbers, its number, the count and a family
(github.com/microsoft/uf2; families in its utils/uf2families.json). ESP32: the image header of
ESP-IDF's bootloader, magic 0xE9, chip id at byte 12. What is not MicroPython is refused.
"""

import re
import struct
from dataclasses import dataclass

from host_tools.errors import BadInput
from host_tools.release import OLDEST, OLDEST_MICROPYTHON

UF2_BLOCK = 512
UF2_MAGICS = (0x0A324655, 0x9E5D5157, 0x0AB16F30)
_NOT_MAIN_FLASH = 0x0001
_HAS_FAMILY = 0x2000
_MOST_PAYLOAD = 476
_ABSOLUTE = 0xE48BFF57  # one block before an RP2350's image, for its erratum E10: not counted
FAMILIES = {0xE48BFF56: "RP2040", 0xE48BFF59: "RP2350", 0xE48BFF5B: "RP2350"}
_OTHER_FAMILIES = {
    0xE48BFF5A: "RP2350 in its RISC-V mode, for which there is no Firmline",
    0xC47E5767: "ESP32-S3",
    0x1C5F21B0: "ESP32",
}

ESP_MAGIC = 0xE9
_ESP_CHIP_AT = 12
# chip id -> (name, esptool's name, where the image goes)
ESP_CHIPS = {0: ("ESP32", "esp32", 0x1000), 9: ("ESP32-S3", "esp32s3", 0)}

_VERSION = re.compile(rb"MicroPython v([0-9]{1,3})\.([0-9]{1,3})[ -~]{0,60}")
_MACHINE = re.compile(rb"; ([ -~]{2,60} with (?:RP2|ESP32)[ -~]{0,20})\0")
_MOST_BYTES = 32 << 20


@dataclass(frozen=True)
class Image:
    """chip: RP2040, RP2350, ESP32 or ESP32-S3; machine: the board it says it is for, or ""."""

    path: object
    data: bytes
    chip: str
    version: str
    machine: str


def read(path):
    """The Image in the file `path`; BadInput for anything that must not be flashed."""
    with open(path, "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise BadInput(f"{path}: larger than any board's flash")
    if data[:4] == struct.pack("<I", UF2_MAGICS[0]):
        chip, content = _uf2(path, data)
    elif len(data) > 24 and data[0] == ESP_MAGIC:
        chip, content = _esp_chip(path, data), data
    else:
        raise BadInput(
            f"{path}: neither a UF2 file (Pico) nor an ESP32 image: expected a MicroPython "
            "download, such as RPI_PICO-20260406-v1.28.0.uf2"
        )
    return Image(path, data, chip, _version(path, content), _machine(content))


def _uf2(path, data):
    """(chip, content in order of the blocks)."""
    if len(data) % UF2_BLOCK:
        raise BadInput(f"{path}: cut short: {len(data)} bytes are not whole blocks of 512")
    blocks = {}
    families = set()
    count = None
    for number, start in enumerate(range(0, len(data), UF2_BLOCK)):
        first, second, flags, _, size, index, total, family = struct.unpack_from(
            "<8I", data, start
        )
        (last,) = struct.unpack_from("<I", data, start + UF2_BLOCK - 4)
        if (first, second, last) != UF2_MAGICS or size > _MOST_PAYLOAD:
            raise BadInput(f"{path}: block {number} is damaged")
        if flags & _NOT_MAIN_FLASH or (flags & _HAS_FAMILY and family == _ABSOLUTE):
            continue
        families.add(family if flags & _HAS_FAMILY else None)
        if index in blocks or (count is not None and total != count):
            raise BadInput(f"{path}: block {number} is there twice, or is of another file")
        count = total
        blocks[index] = data[start + 32 : start + 32 + size]
    if count != len(blocks) or sorted(blocks) != list(range(len(blocks))):
        raise BadInput(f"{path}: cut short: {len(blocks)} of {count} blocks")
    return _family_chip(path, families), b"".join(blocks[index] for index in sorted(blocks))


def _family_chip(path, families):
    if len(families) == 1 and families <= set(FAMILIES):
        return FAMILIES[families.pop()]
    names = ", ".join(
        "no chip that it names" if each is None else _OTHER_FAMILIES.get(each, f"family {each:#x}")
        for each in sorted(families, key=str)
    )
    raise BadInput(f"{path}: it is for {names}: expected an image for RP2040 or RP2350")


def _esp_chip(path, data):
    (chip_id,) = struct.unpack_from("<H", data, _ESP_CHIP_AT)
    if chip_id not in ESP_CHIPS:
        known = " or ".join(name for name, _, _ in ESP_CHIPS.values())
        raise BadInput(f"{path}: it is for an Espressif chip of id {chip_id}: expected {known}")
    return ESP_CHIPS[chip_id][0]


def _version(path, content):
    match = _VERSION.search(content)
    if not match:
        raise BadInput(f"{path}: not MicroPython: no version of it is in there")
    if (int(match[1]), int(match[2])) < OLDEST_MICROPYTHON:
        found = f"{int(match[1])}.{int(match[2])}"
        raise BadInput(f"{path}: MicroPython {found}: Firmline needs {OLDEST} or newer")
    return match[0].decode().removeprefix("MicroPython ").split(";")[0].strip()


def _machine(content):
    match = _MACHINE.search(content)
    return match[1].decode() if match else ""
