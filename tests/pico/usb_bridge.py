# SPDX-License-Identifier: MIT
"""The emulated chip's USB serial port as a pseudo-terminal, for tools that open a device.

The chip runs in slices of its own time in a thread, never faster than the clock on the wall while
there is a terminal. That stays open over a reset, as the port of a UART adapter does. It goes when
the cable is pulled or the supply is cut, and is another one afterwards, under the same path.
"""

import contextlib
import os
import pty
import threading
import time
import tty

SLICE_US = 4000
_AT_ONCE = 64  # bytes to the chip in a slice: what a full-speed USB packet holds
_ENUMERATED_US = 1.6e6  # from power-up until its USB is there


class UsbBridge:
    """device: the path to open, a link in `folder`. Nobody else may ask the chip while the bridge
    is there. pull_at: the cable goes when the host sends this. resets: (why, flash writes by
    then) of each."""

    def __init__(self, chip, folder):
        self.chip = chip
        self.said = ""
        self.resets = []
        self.pull_at = b""
        self.failure = None  # what ended the thread
        self.device = str(folder / "tty")
        self._sent = b""
        self._host = None
        self._due_us = 0  # when the port comes; None: it does not
        self._orders = []
        self._ends = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._plug_in()
        self._thread.start()

    def close(self):
        self._ends = True
        self._thread.join(60)
        self._pull()

    def wait_until(self, chip_s, timeout_s=100):
        self._wait(lambda: self.chip.now_us >= 1e6 * chip_s, timeout_s, f"{chip_s} s of the chip")

    def wait_for(self, text, timeout_s=100):
        """Until the board has said `text` since `said` was last emptied."""
        self._wait(lambda: text in self.said, timeout_s, f"{text!r}, but {self.said[-500:]!r}")

    def wait_for_port(self, timeout_s=100):
        self._wait(lambda: os.path.exists(self.device), timeout_s, "the port")

    def wait_for_reset(self, count, timeout_s=100):
        self._wait(lambda: len(self.resets) >= count, timeout_s, f"{count} resets")

    def plug_in(self):
        self._order(self._plug_in)

    def cut_after(self, writes):
        """The supply goes in the middle of that write to the flash."""
        self._order(lambda: self.chip.cut_after(writes))

    def power_cycle(self):
        def cycle():
            self._pull()
            self.chip.do("powerOff")
            self.chip.do("powerOn")
            self._due_us = self.chip.now_us + _ENUMERATED_US

        self.said = ""
        self._order(cycle)
        self.wait_for_port()

    def monotonic(self):
        """Seconds of the chip. This and `sleep` are what a tool needs of the module time."""
        return self.chip.now_us / 1e6

    def sleep(self, seconds):
        end_us = self.chip.now_us + 1e6 * seconds
        while self.chip.now_us < end_us and not self.failure:
            time.sleep(0.002)

    def _wait(self, is_there, timeout_s, what):
        end_s = time.monotonic() + timeout_s
        while not is_there():
            if self.failure:
                raise self.failure
            assert time.monotonic() < end_s, f"not there after {timeout_s} s: {what}"
            time.sleep(0.02)

    def _order(self, work):
        """Done by the thread of the chip, before this returns."""
        done = threading.Event()
        self._orders.append((work, done))
        self._wait(done.is_set, 60, "an order to the chip")

    def _run(self):
        try:
            while not self._ends:
                begun_s = time.monotonic()
                while self._orders:
                    work, done = self._orders.pop(0)
                    work()
                    done.set()
                self._hear()
                self._advance(SLICE_US)
                if self._due_us is not None and self.chip.now_us >= self._due_us:
                    self._plug_in()
                if self._host is not None:
                    # Asleep it would run ahead of the tool, and its watchdog would bite.
                    time.sleep(max(0, SLICE_US / 1e6 - (time.monotonic() - begun_s)))
        except BaseException as error:
            self.failure = error
            self._pull()  # whoever waits for an answer sees it

    def _plug_in(self):
        self._due_us = None
        self._host, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._host, False)
        os.symlink(os.ttyname(self._slave), self.device)

    def _pull(self):
        self._due_us = None
        if self._host is not None:
            os.unlink(self.device)
            os.close(self._slave)
            os.close(self._host)
        self._host = None

    def _hear(self):
        if self._host is None:
            return
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._host, _AT_ONCE)
            self._sent = self._sent[-100:] + data
            if self.pull_at and self.pull_at in self._sent:
                self.pull_at = b""
                self._pull()
            else:
                self.chip.type(data)

    def _advance(self, us):
        end_us = self.chip.now_us + us
        while self.chip.now_us < end_us:
            for event in self.chip.run(end_us):
                if event[0] == "text":
                    self._say(event[2])
                elif event[0] == "reset":
                    self.resets.append((event[2], self.chip.counts()["flash_writes"]))
                    if event[2] == "power" and self._host is not None:
                        self._pull()

    def _say(self, text):
        """What is no UTF-8 can only be the 0x80 of the raw REPL's window."""
        self.said += text
        data = text.replace("\ufffd", "\x80").encode("latin-1", "replace")
        end_s = time.monotonic() + 0.5  # what nobody takes for so long is lost
        while data and self._host is not None and time.monotonic() < end_s:
            try:
                data = data[os.write(self._host, data) :]
            except BlockingIOError:
                time.sleep(0.002)
