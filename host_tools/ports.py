# SPDX-License-Identifier: MIT
"""Which serial port is the board? And where one cannot be opened, why not, in words."""

import os
from dataclasses import dataclass

from host_tools.errors import BadInput, Missing

# USB vendor ids of the boards themselves and of the adapters soldered to ESP32 boards; an RS-485
# adapter often has one of the last three too.
VENDORS = {
    0x2E8A: "Raspberry Pi",
    0x303A: "Espressif",
    0x10C4: "Silicon Labs CP210x",
    0x1A86: "WCH CH34x",
    0x0403: "FTDI",
}


@dataclass(frozen=True)
class Board:
    """A serial port that may be a board."""

    device: str
    vendor: str
    serial: str

    def __str__(self):
        return f"{self.device} ({self.vendor}{', ' + self.serial if self.serial else ''})"


def boards():
    """Every USB serial port with a vendor id of VENDORS, by the name of its device."""
    return [Board(p.device, VENDORS[p.vid], p.serial_number or "") for p in _usb(VENDORS)]


def _usb(vendors):
    try:
        from serial.tools import list_ports
    except ImportError:
        raise Missing("pyserial is") from None
    return sorted((p for p in list_ports.comports() if p.vid in vendors), key=lambda p: p.device)


def the_one_board():
    """The device of the only board there is; BadInput with a list where there is none or two."""
    found = boards()
    if len(found) == 1:
        return found[0].device
    if found:
        listed = ", ".join(str(board) for board in found)
        raise BadInput(f"{len(found)} boards on USB: {listed}: name one with --usb DEVICE")
    known = ", ".join(sorted(set(VENDORS.values())))
    raise BadInput(
        f"no board on USB (looked for {known}): is the cable a data cable, is the board in "
        "bootloader mode? Or name it: --usb DEVICE, --rtu DEVICE, --tcp HOST"
    )


def why_not_open(device, error):
    """What keeps a port that has just raised `error` from being opened."""
    if os.name != "posix":
        return " ".join(str(error).split())
    try:
        port = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except FileNotFoundError:
        return "does not exist: is the cable in?"
    except PermissionError:
        return "no permission to open it (on Linux: sudo usermod -aG dialout $USER, log in again)"
    except IsADirectoryError:
        return "is a folder, no serial port"
    except OSError as reason:
        return reason.strerror
    is_port = os.isatty(port)
    os.close(port)
    if not is_port:
        return "is no serial port"
    return "is in use by another program (a monitor that still runs, a terminal?)"
