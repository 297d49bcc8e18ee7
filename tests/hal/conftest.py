# SPDX-License-Identifier: MIT
"""The ports that the contract suite runs on. Each runs contract.py once and tells its lines."""

import os
import select
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from hil.targets.firmware import FIRMWARE_DIR, TargetError, find_micropython
from hil.targets.pico import assets, chip, image
from host_tools.compile import compiled
from tests.pico.runs import assets_or_skip

HERE = Path(__file__).resolve().parent
CONTRACT = HERE / "contract.py"
RING = 2**30 - 1
BYTE_US = 10 * 1_000_000 // 19200
_PATIENCE_S = 60

PROGRAM = """
import sys
sys.path[:0] = {paths!r}
import contract
{open}
facts = {{"port": "uart0", "pin": {pin}, "echo": {echo}, "is_board": {is_board}}}
facts["is_stepped"] = {is_stepped}
facts["is_service"] = {is_service}
try:
    hardware.run(contract.Suite(hardware, facts, say))
except contract.Finished:
    say("contract: finished")
"""
PRINT = "say = print\n"
DESKTOP = PRINT + (
    "from firmline.hal import unix\nhardware = unix.Hardware(sys.argv[1], {'uart0': sys.argv[2]})"
)
LOCKSTEP = (
    "def say(text):\n    sys.stderr.write(text + '\\n')\n"
    "from firmline.hal import lockstep\nhardware = lockstep.Hardware(sys.argv[1])"
)
BOARD = (
    "import time\n"
    "while time.ticks_ms() < 2000:\n    time.sleep_ms(10)\n"  # the console is up after 1.5 s
    + PRINT
    + "from firmline.hal import detect\nhardware = detect.open_hardware(())"
)
SERVICE = "hardware.is_service() if hasattr(hardware, 'is_service') else False"


def pytest_addoption(parser):
    parser.addoption("--board", help="run the contract suite on a board: its serial device")
    parser.addoption(
        "--loopback", action="store_true", help="TX and RX of the board's uart0 are joined"
    )


def program(opening, paths=(), pin=8, echo=True, kind="desktop", is_service="False"):
    return PROGRAM.format(
        paths=list(paths),
        open=opening,
        pin=pin,
        echo=echo,
        is_board=kind == "board",
        is_stepped=kind == "stepped",
        is_service=is_service,
    )


PATHS = (str(FIRMWARE_DIR), str(HERE))


def verdicts(text):
    """{check: verdict} of what a port said; it has to have come to its end."""
    lines = [line.split("contract: ", 1)[1] for line in text.splitlines() if "contract: " in line]
    lines = [line for line in lines if not line.startswith("suite,")]  # the recorded cause
    assert lines and lines[-1] == "finished", text[-2000:]
    return dict(line.split(" ", 1) for line in lines[:-1])


@pytest.fixture(scope="session")
def config_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("contract") / "config.json"
    path.write_text("{}")
    return path


def run_on_desktop(config_path):
    """hal/unix.py in MicroPython; the other end of its pseudo-terminal sends everything back."""
    import pty

    master, slave = pty.openpty()
    command = [find_micropython(), "-c", program(DESKTOP, PATHS), config_path, os.ttyname(slave)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    stop = threading.Event()

    def echo():
        while not stop.is_set():
            if select.select([master], [], [], 0.05)[0]:
                os.write(master, os.read(master, 4096))

    peer = threading.Thread(target=echo)
    peer.start()
    try:
        return process.communicate(timeout=_PATIENCE_S)[0].decode()
    finally:
        stop.set()
        peer.join()
        process.kill()
        os.close(slave)
        os.close(master)


def run_in_lockstep(config_path, interpreter):
    """hal/lockstep.py; the rounds are played here, 1 ms each, through the wrap of the ring."""
    process = subprocess.Popen(
        [interpreter, "-c", program(LOCKSTEP, PATHS, kind="stepped"), config_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    guard = threading.Timer(_PATIENCE_S, process.kill)
    guard.start()
    process.stdout.readline()
    now_ms = 2**30 - 1500
    wire = b""
    try:
        while True:
            process.stdin.write(struct.pack("<IH", now_ms & RING, len(wire)) + wire)
            process.stdin.flush()
            header = process.stdout.read(10)
            if len(header) < 10:
                break
            process.stdout.read(struct.unpack_from("<H", header, 8)[0])
            wire = process.stdout.read(struct.unpack("<H", process.stdout.read(2))[0])
            now_ms += 1
    except (BrokenPipeError, struct.error):
        pass  # it has ended; what it said tells how
    finally:
        guard.cancel()
        process.kill()
    return process.communicate()[1].decode()


class EchoWire:
    """The far end of a UART of the emulated chip: sends back once the line has been silent."""

    def __init__(self, board):
        self.board = board
        self.have = b""
        self.end_us = 0.0

    def heard(self, t_us, data):
        self.have += data
        self.end_us = max(self.end_us, t_us) + len(data) * BYTE_US

    def poll(self):
        if self.have and self.board.now_us > self.end_us + 5000:
            start_us = self.board.now_us + 1000
            times = [start_us + (k + 1) * BYTE_US for k in range(len(self.have))]
            self.board.receive(0, times, self.have)
            self.have = b""


def contract_mpy():
    """The suite as the compiled firmware knows it by its names, with its assertions."""
    return compiled(CONTRACT, "contract.py", optimise="-O0")


def run_on_emulated_rp2040():
    """The official image with the firmware and the suite as its main.py."""
    found = assets_or_skip()
    files = image.firmware_files("{}")
    files["contract.mpy"] = contract_mpy()
    files["main.py"] = program(BOARD, kind="board", is_service=SERVICE).encode()
    flash = image.flash_image(found[assets.MICROPYTHON], files)
    board = chip.Chip(found[assets.BOOTROM], flash, [2, 6], ())
    wire = EchoWire(board)
    said = ""
    try:
        while "contract: finished" not in said and board.now_us < 30e6:
            for event in board.run(board.now_us + 2000):
                if event[0] == "text":
                    said += event[2]
                elif event[0] == "tx":
                    wire.heard(event[1], event[3])
            wire.poll()
    finally:
        board.close()
    return said


def run_on_board(device, echo):
    """A board with the firmware on it, its service jumper fitted, at the end of a USB cable."""
    text = program(BOARD, echo=echo, kind="board", is_service=SERVICE)
    pytest.importorskip("mpremote")
    command = [sys.executable, "-m", "mpremote", "connect", device]
    with tempfile.NamedTemporaryFile(suffix=".mpy") as file:
        file.write(contract_mpy())
        file.flush()
        copy = [*command, "fs", "cp", file.name, ":contract.mpy"]
        subprocess.run(copy, check=True, timeout=_PATIENCE_S, capture_output=True)
    done = subprocess.run(
        [*command, "exec", text], timeout=_PATIENCE_S, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def _micropython():
    try:
        return find_micropython()
    except TargetError as error:
        pytest.skip(str(error))


PORTS = ("desktop", "lockstep", "lockstep-cpython", "rp2040-emulated", "board")


@pytest.fixture(scope="session", params=PORTS)
def port_name(request):
    return request.param


@pytest.fixture(scope="session")
def said(request, port_name, config_path):
    """{check: verdict} of one port; skipped, with the reason, where the port cannot run."""
    if port_name == "desktop":
        _micropython()
        return verdicts(run_on_desktop(str(config_path)))
    if port_name == "lockstep":
        return verdicts(run_in_lockstep(str(config_path), _micropython()))
    if port_name == "lockstep-cpython":
        return verdicts(run_in_lockstep(str(config_path), sys.executable))
    if port_name == "rp2040-emulated":
        return verdicts(run_on_emulated_rp2040())
    device = request.config.getoption("--board", None)
    if not device:
        pytest.skip("no board: pytest tests/hal --board /dev/ttyACM0 [--loopback]")
    return verdicts(run_on_board(device, request.config.getoption("--loopback")))
