# SPDX-License-Identifier: MIT
"""The USB console of the emulated board, as a host sees it: Modbus ASCII, key presses, Ctrl-C."""

import json

import pytest

from hil.targets.firmware import FIRMWARE_DIR
from hil.targets.pico import image
from tests.host.tools_site import CONFIG, UNIT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
RELAY_PIN = 8
ASCII = "firmline.modbus.ascii"


class Usb:
    """The host at the chip's USB serial port, in the chip's own time."""

    def __init__(self, chip):
        self.chip = chip
        self.pins = []

    def listen(self, ms):
        """What the chip says in the next `ms`."""
        end_us = self.chip.now_us + 1000 * ms
        said = ""
        while self.chip.now_us < end_us:
            for event in self.chip.run(end_us):
                if event[0] == "text":
                    said += event[2]
                elif event[0] == "pin":
                    self.pins.append(event[3])
        return said

    def modules(self):
        """What is loaded, asked at the prompt."""
        self.chip.type(b"import sys; print(list(sys.modules))\r")
        return self.listen(500)

    def ask(self, *request, ms=400):
        """The reply's bytes after the unit, of a request without it."""
        body = bytes((UNIT, *request))
        frame = (body + bytes([-sum(body) & 0xFF])).hex().upper()
        self.chip.type(f":{frame}\r\n".encode())
        said = self.listen(ms)
        assert said[0] == ":" and said[-2:] == "\r\n", said
        reply = bytes.fromhex(said[1:-2])
        assert sum(reply) & 0xFF == 0 and reply[0] == UNIT
        return reply[1:-1]


def test_the_console_of_a_board_speaks_modbus_and_stops_at_ctrl_c(boot):
    relay = {"name": "heater", "type": "relay_output", "pin": RELAY_PIN, "load_w": 2000}
    config = CONFIG | {"devices": [*CONFIG["devices"], relay]}
    files = image.firmware_files(json.dumps(config))
    main = (FIRMWARE_DIR / "main.py").read_text()
    usb = Usb(boot(main, files, (RELAY_PIN,)))
    usb.listen(3000)

    assert usb.ask(3, 0x9C, 0x40, 0, 2) == b"\x03\x04SunS"  # loads what answers it
    usb.chip.type(b"hello\r\n\x1b[A")
    assert usb.listen(200) == ""
    assert usb.ask(3, 0x9C, 0x40, 0, 125)[1] == 250
    identity = b""
    while len(identity) < 480:
        record = len(identity) // 2
        identity += usb.ask(20, 7, 6, 0, 5, 0, record, 0, 120, ms=800)[4:]
    print(identity.decode())
    assert b'"model": "pico' in identity
    text = json.dumps(config).encode()
    assert usb.ask(20, 7, 6, 0, 1, 0, 0, 0, 20)[4:] == text[:40]
    usb.chip.type(b"?\r")
    assert usb.listen(300).startswith("Firmline ")

    usb.chip.type(b"\x03")
    said = usb.listen(500)
    assert ">>>" in said, said
    assert usb.pins[-1] in (0, None)
    assert ASCII in usb.modules()


def test_nothing_of_modbus_ascii_is_in_memory_before_the_first_byte(boot):
    main = (FIRMWARE_DIR / "main.py").read_text()
    usb = Usb(boot(main, image.firmware_files(json.dumps(CONFIG))))
    usb.listen(3000)
    usb.chip.type(b"\x03")  # a key of the interpreter, nothing that can be read
    assert ">>>" in usb.listen(500)
    modules = usb.modules()
    assert "firmline.services.tools" in modules and ASCII not in modules
