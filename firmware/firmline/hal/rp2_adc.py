# SPDX-License-Identifier: MIT
"""RP2040 and RP2350: the converter samples by itself into two windows of 8 mains cycles each.

Imported only where CTs are configured. The converter goes round its inputs at a rate derived from
its 48 MHz clock, 64 times a mains cycle; two DMA channels that start each other fill one window
each and wrap to its start, for ever and without the program. Which window is full is read from the
controller's interrupt flags, without an interrupt. 50 Hz: 160 ms a window, 60 Hz: 133 ms.

Sources: RP2040 datasheet 2.5 (DMA) and 4.9 (ADC), RP2350 datasheet 12.6 and 12.4.
"""

import sys
from array import array

import machine
import rp2
import uctypes

from firmline.core.units import const

GROUPS = const(512)  # of one sample of each input: 8 cycles of 64

_IS_RP2040 = "RP2040"
_FIRST_PIN = const(26)
_CS = const(0)
_FCS = const(8)
_FIFO = const(12)
_DIV = const(16)
_RUN = const(0x9)  # EN, START_MANY
_TO_FIFO = const(0x01000009)  # threshold 1, DREQ_EN, EN
_OVER = const(0x800)
_DMA_FLAGS = const(0x50000400)
_CLOCK_HZ = const(48000000)


def open_adc(board, inputs, mains_hz):
    """OSError where the board leads out fewer inputs."""
    if inputs > len(board.ADC_PINS):
        raise OSError("ct_input: needs %d inputs, this board has %s" % (inputs, board.ADC_PINS))
    return AdcWindows(inputs, mains_hz)


class AdcWindows:
    """inputs: how many of GP26, 27, 28 are used, from 26 on: 1 to 3. mains_hz: 50 or 60.

    samples: array('H'), of which a window holds GROUPS * slots; slots: 1, 2 or 4 (three inputs
    have a fourth beside them that means nothing). overruns: windows that nobody took in time.
    """

    def __init__(self, inputs, mains_hz):
        is_rp2040 = _IS_RP2040 in sys.implementation._machine
        self._adc = 0x4004C000 if is_rp2040 else 0x400A0000
        self._fcs = self._adc + _FCS  # beyond a small integer: made once
        self.slots = (1, 2, 4)[inputs - 1]
        self.overruns = 0
        for k in range(inputs):
            machine.ADC(_FIRST_PIN + k)  # takes the pin from the digital side
        count = GROUPS * self.slots
        self.samples = array("H", bytes(2 * 3 * count))  # room for two aligned windows
        address = uctypes.addressof(self.samples)
        skipped = (-address % (2 * count)) // 2
        self._starts = (skipped, skipped + count)
        self._given = -1
        self._channels = (rp2.DMA(), rp2.DMA())
        self._numbers = [
            each.channel  # pyright: ignore[reportAttributeAccessIssue]
            for each in self._channels
        ]
        self._flags = [1 << number for number in self._numbers]
        self._set_up(is_rp2040, address + 2 * skipped, count)
        self._start(mains_hz, count)

    def _set_up(self, is_rp2040, address, count):
        size = 2 * count
        ring = 0
        while 1 << ring < size:
            ring += 1
        for k in range(2):
            channel = self._channels[k]
            ctrl = channel.pack_ctrl(
                size=1,
                inc_read=False,
                inc_write=True,
                ring_sel=True,
                ring_size=ring,
                treq_sel=36 if is_rp2040 else 48,
                chain_to=self._numbers[1 - k],
                irq_quiet=False,
            )
            channel.config(
                read=self._adc + _FIFO, write=address + k * size, count=count, ctrl=ctrl
            )

    def _start(self, mains_hz, count):
        machine.mem32[self._adc + _CS] = 1
        while not machine.mem32[self._adc + _FCS] & 0x100:
            machine.mem32[self._adc + _FIFO]  # empty it
        period = _CLOCK_HZ // (mains_hz * count // 8)
        machine.mem32[self._adc + _DIV] = (period - 1) << 8
        machine.mem32[self._adc + _FCS] = _TO_FIFO | _OVER
        machine.mem32[_DMA_FLAGS] = self._flags[0] | self._flags[1]
        self._channels[0].active(1)
        inputs = (1 << self.slots) - 1
        machine.mem32[self._adc + _CS] = (inputs << 16 if self.slots > 1 else 0) | _RUN

    def window(self):
        """Index in `samples` of a full window that was not given out yet; -1: there is none."""
        flags = machine.mem32[_DMA_FLAGS] & (self._flags[0] | self._flags[1])
        if not flags:
            return -1
        machine.mem32[_DMA_FLAGS] = flags
        if flags == self._flags[0] | self._flags[1] and self._given >= 0:
            self.overruns += 1  # but for those of the start, before anybody asked
        self._given = 1 if self._channels[0].active() else 0
        return self._starts[self._given]

    def is_intact(self):
        """The window given last has not been written again, and no sample was lost."""
        if machine.mem32[self._fcs] & _OVER:
            machine.mem32[self._fcs] = _TO_FIFO | _OVER
            self.overruns += 1
            return False
        return not self._channels[self._given].active()
