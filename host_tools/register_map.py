# SPDX-License-Identifier: MIT
"""Where each point of the controller's map is and how its registers become a value.

Derived from the firmware's own table (firmline.services.register_map.POINTS): not one address or
width is written down a second time. Pure functions over lists of uint16.
"""

from dataclasses import dataclass
from functools import cache

from firmline.services import register_map as registers

BASE = registers.BASE
FIRMLINE = registers.FIRMLINE_MODEL
MAP_VERSION = registers.MAP_VERSION
MAX_RESOURCES = registers.MAX_RESOURCES
MARKER = 0x53756E53  # "SunS"
COMMON = 1
END = 0xFFFF
MOST_READ = 125  # registers of one request, Modbus application protocol V1.1b3, 6.3


@dataclass(frozen=True)
class Point:
    """One value. address: of its first register, on the wire; kind: of services.register_map."""

    model: int
    name: str
    address: int
    width: int
    kind: int

    def value(self, words):
        """An int (signed where the map says so), or the text without its padding."""
        if self.kind == registers.TEXT:
            data = b"".join(word.to_bytes(2, "big") for word in words)
            return data.rstrip(b"\0 ").decode("ascii", "replace")
        number = 0
        for word in words:
            number = number << 16 | word
        bits = 16 * self.width
        is_signed = self.kind in (registers.I32, registers.SETTING)
        return number - (1 << bits) if is_signed and number >> (bits - 1) else number


@cache
def points():
    """{(model, name): Point} of every point, the resources' one by one (r1_command_w ...)."""
    found = {}
    at = registers.BASE
    for row in registers.POINTS:
        model, name, kind, _, _ = row
        width = registers.width(row)
        if "{}" in name:
            parts = name.split()
            for k in range(width // 2):
                one = parts[k % len(parts)].format(k // len(parts) + 1)
                found[model, one] = Point(model, one, at + 2 * k, 2, kind)
        else:
            found[model, name] = Point(model, name, at, width, kind)
        at += width
    return found


def point(name, model=FIRMLINE):
    """The Point of that name, or None where this version of the map has none."""
    return points().get((model, name))


def of_model(model):
    """The points of one model in the order of their addresses."""
    return [p for p in points().values() if p.model == model]


def spans(chosen, most=MOST_READ):
    """[(address, count)]: the fewest requests that read `chosen`, no point cut in two."""
    found = []
    for p in sorted(chosen, key=lambda p: p.address):
        if found and p.address + p.width - found[-1][0] <= most:
            found[-1][1] = p.address + p.width - found[-1][0]
        else:
            found.append([p.address, p.width])
    return [tuple(span) for span in found]


def decode(chosen, words):
    """{name: value} of `chosen`; words: {address: uint16} that covers them."""
    return {p.name: p.value([words[p.address + k] for k in range(p.width)]) for p in chosen}
