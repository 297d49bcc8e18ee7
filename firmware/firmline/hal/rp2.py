# SPDX-License-Identifier: MIT
"""RP2040 and RP2350. Proved on an emulated RP2040 (docs/pico-target.md), not yet on a board.

The direction of an RS-485 line is dropped by a timer interrupt: a control cycle or the answer to
a head-end takes 20 ms and more, and a device may answer 2 ms after the last bit.
"""

import machine

from firmline.core.units import const
from firmline.hal.board import BoardHardware, SerialPort

_MARGIN_US = const(30)  # the bits of the last character are out, whatever the divider's rounding
_US_PER_S = const(1000000)


class TimedPort(SerialPort):
    """Drops the driver enable when the last bit is out."""

    def __init__(self, number, baud, is_even, tx, rx, enable):
        super().__init__(number, baud, is_even, tx, rx, enable)
        bits = 11 if is_even else 10
        self._byte_us = (bits * _US_PER_S + baud - 1) // baud
        self._timer = machine.Timer()
        self._drop = self._end_sending  # made once: an interrupt must not allocate

    def write(self, buffer, count):
        super().write(buffer, count)
        if self._is_sending:
            self._timer.init(
                mode=machine.Timer.ONE_SHOT,
                period=count * self._byte_us + _MARGIN_US,
                tick_hz=_US_PER_S,
                callback=self._drop,
                hard=True,
            )

    def _end_sending(self, timer):
        """In the interrupt. Where the transmitter is not done yet, `any` will see to it."""
        if self._uart.txdone():
            self._enable.value(0)
            self._is_sending = False


class Hardware(BoardHardware):
    """`board`: a module of firmline.boards. The chip's watchdog survives a soft reset."""

    port_class = TimedPort
