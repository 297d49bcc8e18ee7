# SPDX-License-Identifier: MIT
"""Puts MicroPython itself on a board: the first of two steps, `firmline deploy` is the second.

Raspberry Pi Pico: hold BOOTSEL while you plug it in; it appears as a drive (RPI-RP2 or RP2350).
The image is checked (whole? MicroPython? for this chip?) and copied there. ESP32: the image is
checked, and esptool (pip install esptool) writes it over the serial port.
Images: micropython.org/download
"""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

from host_tools import image as images
from host_tools import options, output, ports
from host_tools.errors import DONE, BadInput, Missing, ToolError
from host_tools.progress import counted

INFO = "INFO_UF2.TXT"
# What the boot ROMs write into INFO_UF2.TXT
BOARD_IDS = {"RPI-RP2": "RP2040", "RP2350": "RP2350"}
_ROOTS = ("/media/*", "/media/*/*", "/run/media/*/*", "/mnt/*", "/Volumes/*")
_CHUNK = 64 * 1024
_HOW = "hold BOOTSEL while you plug it in, and open its drive; or name it: --volume DIR"


def add_parser(subparsers):
    parser = options.add_command(
        subparsers,
        "flash",
        "put MicroPython on a board",
        __doc__,
        "  firmline flash RPI_PICO-20260406-v1.28.0.uf2\n"
        "  firmline flash RPI_PICO2-20260406-v1.28.0.uf2 --volume /media/me/RP2350\n"
        "  firmline flash ESP32_GENERIC-20260406-v1.28.0.bin --usb /dev/ttyUSB0",
    )
    parser.add_argument("image", type=Path, metavar="IMAGE", help="a .uf2 (Pico) or .bin (ESP32)")
    parser.add_argument("--volume", type=Path, metavar="DIR", help="the drive of the Pico")
    parser.add_argument("--usb", metavar="DEVICE", help="the serial port of the ESP32")
    parser.add_argument(
        "--wait",
        type=options.seconds(0, 600),
        default=20.0,
        metavar="S",
        help="longest wait for the board to come up, 0: do not wait (default %(default)g)",
    )
    parser.add_argument("--check", action="store_true", help="only look at the image")
    options.add_json(parser)


def run(arguments):
    with output.telling(arguments) as out:
        image = images.read(arguments.image)
        facts = {"image": str(image.path), "chip": image.chip, "machine": image.machine}
        what = f"MicroPython {image.version} for {image.machine or image.chip}"
        out.say(f"{image.path}: {what}", **facts, micropython=image.version, is_flashed=False)
        if arguments.check:
            return DONE
        if image.chip.startswith("ESP32"):
            _flash_esp32(image, arguments.usb, out)
        else:
            _flash_pico(image, arguments, out)
    return DONE


def _flash_pico(image, arguments, out):
    volume = find_volume(arguments.volume)
    chip = chip_of(volume)
    if chip != image.chip:
        raise BadInput(f"{image.path}: for {image.chip}, but the board on {volume} is an {chip}")
    before = _ports()
    copy(image, volume)
    out.say(f"copied to {volume}", volume=str(volume), is_flashed=True)
    _wait_for_board(before, arguments.wait, out)


def find_volume(named, roots=_ROOTS):
    """The drive of the one board in BOOTSEL mode."""
    if named is not None:
        if not (named / INFO).is_file():
            raise BadInput(f"{named}: not the drive of a Pico in BOOTSEL mode: it has no {INFO}")
        return named
    found = sorted({folder for root in roots for folder in _volumes(root)})
    if len(found) == 1:
        return found[0]
    if not found:
        raise BadInput(f"no Pico in BOOTSEL mode: {_HOW}")
    listed = ", ".join(map(str, found))
    raise BadInput(f"{len(found)} boards in BOOTSEL mode: {listed}: choose one with --volume DIR")


def _volumes(root):
    for info in Path("/").glob(f"{root.strip('/')}/{INFO}"):
        if _board_id(info) in BOARD_IDS:
            yield info.parent


def _board_id(info):
    """The Board-ID in an INFO_UF2.TXT; "" where it cannot be read."""
    try:
        lines = info.read_text(encoding="latin-1").splitlines()
    except OSError:
        return ""
    ids = [line.partition(":")[2].strip() for line in lines if line.startswith("Board-ID:")]
    return ids[0] if ids else ""


def chip_of(volume):
    board_id = _board_id(volume / INFO)
    if board_id not in BOARD_IDS:
        accepted = " or ".join(BOARD_IDS)
        raise BadInput(f"{volume}: a board called {board_id!r}: expected {accepted}")
    return BOARD_IDS[board_id]


def copy(image, volume):
    """The board restarts with the last block, and its drive goes away: an error after that is
    none."""
    target = volume / "firmware.uf2"
    written = 0
    try:
        with open(target, "wb", buffering=0) as file:
            with counted("copying", len(image.data)) as advance:
                while written < len(image.data):
                    count = file.write(image.data[written : written + _CHUNK])
                    written += count
                    os.fsync(file.fileno())
                    advance(count)
    except OSError as error:
        if written < len(image.data) or (volume / INFO).exists():
            raise ToolError(
                f"{target}: {error.strerror} after {written} of {len(image.data)} bytes: "
                "plug the board in again with BOOTSEL held, and repeat"
            ) from None


def _ports():
    """The serial ports that may be boards; empty without pyserial."""
    try:
        return {board.device for board in ports.boards()}
    except Missing:
        return set()


def _wait_for_board(before, wait_s, out):
    end_s = time.monotonic() + wait_s
    while time.monotonic() < end_s:
        new = sorted(_ports() - before)
        if new:
            out.say(f"the board is up on {new[0]}; next: firmline deploy", device=new[0])
            return
        time.sleep(0.2)
    if wait_s:
        raise ToolError(
            f"no board came up within {wait_s:g} s: is the cable a data cable? "
            "Unplug it and plug it in again"
        )


def _flash_esp32(image, device, out):
    name, chip, offset = next(e for e in images.ESP_CHIPS.values() if e[0] == image.chip)
    words = ["--chip", chip, "--port", device or "DEVICE"]
    words += ["write_flash", "--erase-all", hex(offset), str(image.path)]
    if importlib.util.find_spec("esptool") is None:
        raise BadInput(
            f"an {name} is written by esptool, which is missing: pip install esptool; then "
            f"repeat, or: python -m esptool {' '.join(words)}"
        )
    if device is None:
        raise BadInput(f"which port is the {name} on? --usb DEVICE, such as /dev/ttyUSB0")
    command = [sys.executable, "-m", "esptool", *words]
    done = subprocess.run(command, check=False, stdout=2 if out.is_json else None)  # 2: stderr
    if done.returncode:
        raise ToolError(f"esptool ended with exit status {done.returncode}: see above")
    out.say("next: firmline deploy", device=device, is_flashed=True)
