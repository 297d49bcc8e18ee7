# SPDX-License-Identifier: MIT
"""One hardware contract, every port: the checks of contract.py, with the real thing below them.

`pytest tests/hal` runs them on the desktop port, in lock-step and, with PICO_ASSETS, on the
emulated RP2040; `--board /dev/ttyACM0` on a board that has the firmware on it, with its service
jumper fitted; `--loopback` says that TX and RX of its uart0 are joined.
"""

import re
from pathlib import Path

import contract
import pytest

PORTING = Path(__file__).resolve().parents[2] / "docs/porting.md"
NAMES = [check.__name__ for check in contract.CHECKS]


@pytest.mark.parametrize("name", NAMES)
def test_the_port_keeps_the_contract(said, name):
    verdict = said[name]
    if verdict.startswith("skip "):
        pytest.skip(verdict[5:])
    assert verdict == "ok"


def test_every_check_is_in_the_table_of_the_contract():
    cited = set(re.findall(r"`(\w+)`", PORTING.read_text(encoding="utf-8")))
    assert [name for name in NAMES if name not in cited] == []


COLUMNS = ("desktop", "lockstep", "rp2040-emulated")


def test_the_table_of_the_contract_says_what_is_seen(said, port_name):
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.*) \|$", PORTING.read_text(encoding="utf-8"))
    cells = {name: cells.split(" | ") for name, cells in rows}
    column = COLUMNS.index(port_name.removesuffix("-cpython"))
    stated = {name: cells[name][column] for name in NAMES}
    assert stated == {name: "s" if said[name].startswith("skip ") else "x" for name in NAMES}


class BrokenPort:
    """Sends back at once, drops the last byte of each frame, and has 16 bytes of room."""

    def __init__(self):
        self.have = b""

    def write(self, buffer, count):
        self.have += bytes(buffer[: count - 1])

    def any(self):
        return len(self.have)

    def readinto(self, buffer, count):
        buffer[:count] = self.have[:count]
        self.have = self.have[count:]
        return count

    def tx_done(self):
        return False


class BrokenOutput:
    def set(self, on):
        pass

    def readback(self):
        return True


class BrokenFiles:
    """Keeps whatever was there first."""

    def __init__(self):
        self.have = None

    def save(self, name, buffer, n):
        self.have = self.have or bytes(buffer[:n])

    def load(self, name, buffer):
        return self.size(name)

    def size(self, name):
        return -1 if self.have is None else len(self.have)

    def remove(self, name):
        self.have = None


class BrokenConsole:
    def any(self):
        raise OSError(5)


class BrokenConverter:
    slots = 2
    overruns = 0
    samples = ()

    def window(self):
        return -1


class BrokenHardware:
    """Everything that the suite looks at is wrong."""

    files = BrokenFiles()
    model = "x" * 33
    serial = ""

    def open_port(self, name, baud, is_even):
        return BrokenPort()

    def open_output(self, pin, active_low, readback_pin):
        return BrokenOutput()

    def ticks_us(self):
        return -1

    def read_config(self):
        return ""

    def make_safe(self):
        pass

    def guard_outputs(self, outputs, limit_ms):
        pass

    def record_cause(self, text):
        raise OSError(28)

    def feed_watchdog(self):
        pass

    def marker(self):
        return 7

    def set_marker(self, word):
        pass

    def reset_cause(self):
        return 1

    def is_service(self):
        return False

    def open_console(self):
        return BrokenConsole()

    def open_adc(self, inputs, mains_hz):
        return BrokenConverter()


@pytest.fixture(scope="module")
def verdicts_of_a_broken_port():
    lines = []
    facts = {"port": "uart0", "pin": 8, "echo": True, "is_board": True, "is_stepped": False}
    suite = contract.Suite(BrokenHardware(), facts, lines.append)
    now_ms = 5
    with pytest.raises(contract.Finished):
        while True:
            suite.poll(now_ms & contract.RING)
            now_ms += 1500 if now_ms % 2 else 1  # polls that come too late
    return dict(line.split(": ")[1].split(" ", 1) for line in lines)


CANNOT_FAIL_THERE = (
    "a_check_can_fail",
    # its heap is not known, it has no watchdog or timer, its write is quick enough
    "what_each_poll_calls_allocates_nothing",
    "the_watchdog_starts_with_the_first_feed",
    "a_guarded_output_opens_when_nothing_is_fed",
    "write_returns_at_once",
    "a_silent_port_has_no_bytes",
)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in CANNOT_FAIL_THERE])
def test_a_port_that_breaks_the_contract_is_found(verdicts_of_a_broken_port, name):
    assert verdicts_of_a_broken_port[name].startswith("FAIL")
