# SPDX-License-Identifier: MIT
"""The emulated chip's USB serial port as a pseudo-terminal, for tools that open a device.

The chip runs in slices of its own time in a thread, never faster than the clock on the wall; the
terminal stays open over a reset, as the port of a UART adapter does.
"""

import os
import pty
import threading
import time
import tty

SLICE_US = 4000
_AT_ONCE = 64  # bytes to the chip in a slice: what a full-speed USB packet holds


class UsbBridge:
    """device: the path to open. Nobody else may ask the chip while the bridge is there."""

    def __init__(self, chip):
        self.chip = chip
        self.said = ""
        self.resets = []
        self._host, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._host, False)
        self.device = os.ttyname(self._slave)
        self._ends = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._ends = True
        self._thread.join(60)
        os.close(self._host)
        os.close(self._slave)

    def wait_until(self, chip_s, timeout_s=120):
        end_s = time.monotonic() + timeout_s
        while self.chip.now_us < 1e6 * chip_s:
            assert time.monotonic() < end_s, f"the chip is only at {self.chip.now_us} us"
            time.sleep(0.02)

    def wait_for(self, text, timeout_s=120):
        end_s = time.monotonic() + timeout_s
        while text not in self.said:
            assert time.monotonic() < end_s, f"not said: {text!r} but {self.said[-2000:]!r}"
            time.sleep(0.05)

    def _run(self):
        while not self._ends:
            try:
                self.chip.type(os.read(self._host, _AT_ONCE))
            except BlockingIOError:
                pass
            begun_s = time.monotonic()
            self._advance(SLICE_US)
            # Asleep it would run ahead of the tool, and its watchdog would bite.
            time.sleep(max(0, SLICE_US / 1e6 - (time.monotonic() - begun_s)))

    def _advance(self, us):
        end_us = self.chip.now_us + us
        while self.chip.now_us < end_us:
            for event in self.chip.run(end_us):
                if event[0] == "text":
                    self._say(event[2])
                elif event[0] == "reset":
                    self.resets.append(event[2])

    def _say(self, text):
        """What is no UTF-8 can only be the 0x80 of the raw REPL's window."""
        self.said += text
        data = text.replace("\ufffd", "\x80").encode("latin-1", "replace")
        end_s = time.monotonic() + 0.5  # what nobody takes for so long is lost
        while data and time.monotonic() < end_s:
            try:
                data = data[os.write(self._host, data) :]
            except BlockingIOError:
                time.sleep(0.002)
