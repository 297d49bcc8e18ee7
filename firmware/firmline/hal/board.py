# SPDX-License-Identifier: MIT
"""What `machine` gives on both chips: UART with RS-485 direction, outputs, watchdog, clock.

`any()` before `readinto` always, because a read with more room than data blocks (uart timeout
per byte). Direction is dropped in `any()`, so after the last bit and the poll that is under way;
rp2.py does better.
"""

import gc
import time

import machine

from firmline.core.units import TICKS_MASK
from firmline.hal.files import FileStore

_CONFIG_PATH = "config.json"
_CAUSE_PATH = "cause.txt"
_DATA_PATH = "/data"


class SerialPort:
    """8 data bits, 1 stop bit; `enable`: driver-enable Pin, None for an auto-direction
    transceiver."""

    def __init__(self, number, baud, is_even, tx, rx, enable):
        self._enable = None
        if enable is not None:
            self._enable = machine.Pin(enable, machine.Pin.OUT, value=0)
        self._uart = machine.UART(
            number,
            baud,
            parity=0 if is_even else None,
            tx=machine.Pin(tx),
            rx=machine.Pin(rx),
            txbuf=256,
            rxbuf=512,
            timeout=0,
        )
        self._is_sending = False

    def write(self, buffer, count):
        if self._enable is not None:
            self._enable.value(1)
            self._is_sending = True
        self._uart.write(buffer, count)

    def any(self):
        if self._is_sending and self._uart.txdone():
            self._enable.value(0)
            self._is_sending = False
        return self._uart.any()

    def readinto(self, buffer, count):
        return self._uart.readinto(buffer, count) or 0

    def tx_done(self):
        return self._uart.txdone()


class Output:
    def __init__(self, pin, active_low):
        self._active_low = active_low
        self._pin = machine.Pin(pin, machine.Pin.OUT, value=1 if active_low else 0)

    def set(self, on):
        self._pin.value(bool(on) != self._active_low)

    def readback(self):
        return bool(self._pin.value()) != self._active_low


class BoardHardware:
    """One owner of every peripheral. The watchdog starts with the first feed, never before."""

    port_class = SerialPort

    def __init__(self, board):
        self._board = board
        self.model = board.NAME
        self.serial = "".join("%02x" % byte for byte in machine.unique_id())
        self.files = FileStore(_DATA_PATH)
        self._watchdog = None
        self._ports = []
        service = machine.Pin(board.SERVICE_PIN, machine.Pin.IN, machine.Pin.PULL_UP)
        self._has_watchdog = service.value() == 1

    def read_config(self):
        with open(_CONFIG_PATH) as file:
            return file.read()

    def open_port(self, name, baud, is_even):
        if name not in self._board.UARTS:
            raise OSError("port %s: this board has %s" % (name, sorted(self._board.UARTS)))
        number, tx, rx, enable = self._board.UARTS[name]
        port = self.port_class(number, baud, is_even, tx, rx, enable)
        self._ports.append(port)
        return port

    def open_output(self, pin, active_low):
        if pin not in self._board.OUTPUT_PINS:
            raise OSError("pin %d: outputs are %s" % (pin, list(self._board.OUTPUT_PINS)))
        return Output(pin, active_low)

    def ticks_ms(self):
        return time.ticks_ms() & TICKS_MASK

    def ticks_us(self):
        return time.ticks_us() & TICKS_MASK

    def make_safe(self):
        """Every output floats to its idle level, whatever the configuration says of it."""
        for pin in self._board.OUTPUT_PINS:
            machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_DOWN)

    def feed_watchdog(self):
        if self._watchdog is not None:
            self._watchdog.feed()
        elif self._has_watchdog:
            self._watchdog = machine.WDT(timeout=self._board.WATCHDOG_MS)

    def record_cause(self, text):
        """Written only when it is another than before: a fault that comes back after every reset
        must not wear the flash out."""
        print("firmline:", text)
        try:
            if _text_of(_CAUSE_PATH) != text:
                with open(_CAUSE_PATH, "w") as file:
                    file.write(text)
        except OSError as error:
            print("firmline: %s: %s" % (_CAUSE_PATH, error))

    def run(self, controller):
        gc.collect()  # the last for long: nothing allocates from here on
        gc.threshold(-1)
        while True:
            self._rest(controller.poll(self.ticks_ms()))

    def _rest(self, wait_ms):
        """Sleep until a byte has come or wait_ms have passed. `machine.idle` returns after 1 ms
        or at an interrupt, so a direction pin is dropped at most 1 ms after the last bit."""
        start_ms = time.ticks_ms()
        while True:
            for port in self._ports:
                if port.any():
                    return
            if time.ticks_diff(time.ticks_ms(), start_ms) >= wait_ms:
                return
            machine.idle()


def _text_of(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None
