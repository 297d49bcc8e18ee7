# SPDX-License-Identifier: MIT
"""RP2040 and RP2350. Proved on an emulated RP2040 (docs/pico-target.md), not yet on a board.

The direction of an RS-485 line is dropped by a timer interrupt: a control cycle or the answer to
a head-end takes 20 ms and more, and a device may answer 2 ms after the last bit.
"""

import sys
import time

import machine

from firmline.core.units import const
from firmline.hal.board import BoardHardware, SerialPort

_MARGIN_US = const(30)  # the bits of the last character are out, whatever the divider's rounding
_US_PER_S = const(1000000)
_ALIVE = const(10)  # tenths of the dead-man's limit that are left after a feed
# Watchdog scratch registers 0..3: kept over every reset but a power-up and the RUN pin, which
# clear them. The boot ROM and the SDK use 4 to 7 (RP2040 datasheet 2.8.1.1 and 4.7; pico-sdk
# hardware_watchdog).
_SCRATCH_RP2040 = const(0x4005800C)
_SCRATCH_RP2350 = 0x400D800C


class TimedPort(SerialPort):
    """Drops the driver enable when the last bit is out."""

    def __init__(self, number, baud, is_even, tx, rx, enable):
        super().__init__(number, baud, is_even, tx, rx, enable)
        bits = 11 if is_even else 10
        self._byte_us = (bits * _US_PER_S + baud - 1) // baud
        self._timer = machine.Timer()  # pyright: ignore[reportCallIssue]
        self._drop = self._end_sending  # made once: an interrupt must not allocate

    def write(self, buffer, count):
        super().write(buffer, count)
        if self._is_sending:
            self._timer.init(  # pyright: ignore[reportCallIssue]
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
    """`board`: a module of firmline.boards. The chip's watchdog survives a soft reset. Hazard
    H-06: a timer interrupt opens the trip outputs when the control cycle has stopped."""

    port_class = TimedPort

    def __init__(self, board):
        super().__init__(board)
        scratch = _SCRATCH_RP2040
        if "RP2350" in sys.implementation._machine:
            scratch = _SCRATCH_RP2350
        self._scratch = [scratch + 4 * k for k in range(4)]  # too large to be made in the cycle
        self._guarded = ()
        self._limit_ms = 0
        self._timer = None
        self._alive = _ALIVE
        self._is_dead = False
        self._has_looked = False
        self._looked_ms = 0
        self._watch = self._look  # made once: an interrupt must not allocate

    def reset_cause(self):
        """The chip cannot tell a brown-out or its RUN pin from a power-up."""
        return 2 if machine.reset_cause() == machine.WDT_RESET else 1

    def kept(self, k):
        return machine.mem32[self._scratch[k]]

    def keep(self, k, word):
        machine.mem32[self._scratch[k]] = word

    def guard_outputs(self, outputs, limit_ms):
        self._guarded = outputs
        self._limit_ms = limit_ms

    def open_adc(self, inputs, mains_hz):
        """The converter's first inputs, sampled by themselves: rp2_adc.AdcWindows."""
        from firmline.hal import rp2_adc

        return rp2_adc.open_adc(self._board, inputs, mains_hz)

    def _arm(self):
        super()._arm()
        self._looked_ms = time.ticks_ms()
        self._timer = machine.Timer()  # pyright: ignore[reportCallIssue]
        self._timer.init(
            mode=machine.Timer.PERIODIC,
            period=self._limit_ms // _ALIVE,
            callback=self._watch,
            hard=True,
        )

    def feed_watchdog(self):
        """A program that comes back after its trip outputs were opened is stopped. So is one whose
        interrupt does not come any more: MicroPython ends a timer for good when its callback
        fails, as for want of stack."""
        self._alive = _ALIVE
        super().feed_watchdog()
        if self._has_looked:
            self._has_looked = False
            self._looked_ms = time.ticks_ms()
        elif time.ticks_diff(time.ticks_ms(), self._looked_ms) > self._limit_ms:
            raise RuntimeError("dead-man: its interrupt has stopped")
        if self._is_dead:
            raise RuntimeError("dead-man: the cycle had stopped, trip outputs were opened")

    def _look(self, timer):
        """In the interrupt, ten times in limit_ms, about 0.1 ms each time."""
        self._has_looked = True
        if self._alive > 1:
            self._alive -= 1
            return
        self._is_dead = True  # for good
        k = len(self._guarded)
        while k:
            k -= 1
            self._guarded[k].release()  # a cycle that comes back must not close it
