# SPDX-License-Identifier: MIT
"""The options that every command with a live controller shares, and what they stand for."""

import argparse
import re
from dataclasses import dataclass

from host_tools.errors import BadInput
from host_tools.ports import the_one_board

USB_BAUD = 115200
RTU_BAUD = 19200
TCP_PORT = 502
UNIT = 1
_BAUDS = (1200, 921600)


@dataclass(frozen=True)
class Place:
    """Where a controller is. kind: usb, rtu or tcp; device: path or host; speed: baud or port."""

    kind: str
    device: str
    speed: int
    unit: int

    def __str__(self):
        if self.kind == "tcp":
            return f"{self.device}:{self.speed} unit {self.unit}"
        if self.kind == "usb":
            return f"{self.device} (USB)"
        return f"{self.device} at {self.speed} Bd unit {self.unit}"


def add_command(subparsers, name, summary, description, examples):
    """A parser laid out as all commands are: what it does, options, examples."""
    return subparsers.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_connection(parser):
    """--usb, --rtu, --tcp, --unit, --timeout."""
    group = parser.add_argument_group("which controller")
    ways = group.add_mutually_exclusive_group()
    ways.add_argument(
        "--usb",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="its USB cable; without DEVICE the one board there is (the default)",
    )
    ways.add_argument(
        "--rtu",
        metavar="DEVICE[:BAUD]",
        help=f"its head-end port through an RS-485 adapter (default {RTU_BAUD} Bd, 8N1)",
    )
    ways.add_argument(
        "--tcp", metavar="HOST[:PORT]", help=f"its network (default port {TCP_PORT})"
    )
    group.add_argument(
        "--unit",
        type=whole(1, 247),
        default=UNIT,
        metavar="N",
        help="its Modbus address, head_end.unit of the configuration (default %(default)s)",
    )
    group.add_argument(
        "--timeout",
        type=seconds(0.05, 60),
        default=2.0,
        metavar="S",
        help="longest wait for one answer, seconds (default %(default)g)",
    )


def add_json(parser, text="print JSON for a program to read"):
    parser.add_argument("--json", action="store_true", help=text)


def place(arguments):
    """The Place that the options name; BadInput for one that cannot be."""
    if arguments.rtu is not None:
        device, baud = _split(arguments.rtu, RTU_BAUD)
        low, high = _BAUDS
        if not device or not low <= baud <= high:
            raise BadInput(
                f"--rtu {arguments.rtu}: expected DEVICE or DEVICE:BAUD with {low} to {high} Bd, "
                "such as /dev/ttyUSB0:19200"
            )
        return Place("rtu", device, baud, arguments.unit)
    if arguments.tcp is not None:
        host, port = _split(arguments.tcp, TCP_PORT)
        host = host.removeprefix("[").removesuffix("]")
        if not host or not 1 <= port <= 65535:
            text = "expected HOST or HOST:PORT, such as 192.168.1.20:502"
            raise BadInput(f"--tcp {arguments.tcp}: {text}")
        return Place("tcp", host, port, arguments.unit)
    return Place("usb", arguments.usb or the_one_board(), USB_BAUD, arguments.unit)


def _split(text, default):
    """("DEVICE", number) of DEVICE:NUMBER; the default where no number follows."""
    match = re.fullmatch(r"(.*):([0-9]{1,9})", text)
    return (match[1], int(match[2])) if match else (text, default)


def whole(low, high):
    """An argparse type: an integer from low to high."""

    def parse(text):
        number = int(text) if re.fullmatch(r"-?[0-9]{1,12}", text) else None
        if number is None or not low <= number <= high:
            raise argparse.ArgumentTypeError(
                f"{text}: expected a whole number from {low} to {high}"
            )
        return number

    return parse


def seconds(low, high):
    """An argparse type: seconds from low to high."""

    def parse(text):
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text}: expected seconds from {low:g} to {high:g}")
        return number

    return parse
