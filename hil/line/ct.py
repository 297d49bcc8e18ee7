# SPDX-License-Identifier: MIT
"""What the site's current and voltage transformers give to the board's converter.

The truth as waves, set anew at each zero crossing of the mains: amplitude and sign of the power at
that instant, held for half a cycle, on a bias that is a little different at each input. Where the
target has no converter of its own, `Converter` samples them as hal/rp2_adc.py does.
"""

import math
from array import array

US_PER_S = 1_000_000
GROUPS = 512  # of a window: 8 cycles of 64
_GROUPS_OF_HALF = 32
_HALVES = GROUPS // _GROUPS_OF_HALF
_COUNTS_PER_MV = 4096 / 3300
_BIAS = (2048, 2090, 2010)
_OUT = (20, 0.0, 0.0)  # a plug that is out: the pull to ground (docs/wiring.md)
_STEPS = 256  # of a cycle, in the table: 4 for each group
_ONE = 1 << 14
_SINE = [round(_ONE * math.sin(2 * math.pi * k / _STEPS)) for k in range(2 * _STEPS)]


class CtInputs:
    """device, site: as the controller's configuration has them, complete.

    waves: of each input (counts of the offset, counts of the amplitude, degrees late against the
    voltage of L1). gains: of each input, to make a transformer that is not what was configured.
    on_change(): after each zero crossing. listener: a Converter, or None.
    """

    def __init__(self, world, plant, device, site):
        self._world = world
        self._plant = plant
        self.hz = device["mains_hz"]
        self._halves = 0
        volts, conductors = site["voltage_v"], site["phases"]
        mv_per_a = device["rated_mv"] / device["rated_a"]
        self._counts_per_w = math.sqrt(2) * _COUNTS_PER_MV * mv_per_a / volts
        self._volts_counts = math.sqrt(2) * _COUNTS_PER_MV * (device["voltage_mv"] or 0)
        self._late = (0.0, 180.0) if conductors == 2 else (0.0, 120.0, 240.0)[:conductors]
        self.inputs = conductors + (device["voltage_mv"] is not None)
        self.gains = [1.0] * self.inputs
        self.is_out = [False] * self.inputs
        self.on_change = None
        self.listener = None
        self.waves = []
        self._set()
        self._schedule()

    def arm(self, fault):
        """`fault`, of kind ct_open: the plug of parameters["input"] (1 is the first) is out."""
        index = fault.parameters["input"] - 1
        self._world.at(round(fault.from_s * US_PER_S), self._pull, index, True)
        self._world.at(round(fault.to_s * US_PER_S), self._pull, index, False)

    def _pull(self, index, is_out):
        self.is_out[index] = is_out

    def _schedule(self):
        self._halves += 1
        self._world.at(self._halves * US_PER_S // (2 * self.hz), self._cross)

    def _cross(self):
        if self.listener is not None:
            self.listener.take_half(self.waves, self._halves - 1)
        self._set()
        if self.on_change is not None:
            self.on_change()
        self._schedule()

    def _set(self):
        self._plant.advance(self._world.now_us)
        self.waves = [
            _OUT if self.is_out[k] else (_BIAS[k], self._counts(k) * self.gains[k], self._lag(k))
            for k in range(self.inputs)
        ]

    def _counts(self, k):
        if k < len(self._late):
            return self._plant.power_w(k + 1) * self._counts_per_w
        return self._volts_counts

    def _lag(self, k):
        return self._late[k] if k < len(self._late) else 0.0


class Converter:
    """As hal.rp2_adc.AdcWindows for devices.ct.CtInput: two windows, filled in turn."""

    def __init__(self, cts):
        self.slots = (1, 2, 4)[cts.inputs - 1]
        self.overruns = 0
        self._size = GROUPS * self.slots
        self.samples = array("H", bytes(2 * 2 * self._size))
        self._filling = 0
        self._halves = 0  # of the window that is being filled
        self._is_full = False
        self._given = 0
        cts.listener = self  # the one before is out of service

    def take_half(self, waves, number):
        """Half a cycle has passed; number: of halves since the start, for the phase."""
        first = self._filling * self._size + self._halves * _GROUPS_OF_HALF * self.slots
        last = first + _GROUPS_OF_HALF * self.slots
        for k, (offset, amplitude, late) in enumerate(waves):
            start = _STEPS // 2 * (number % 2) + k * 4 // self.slots
            start = (start - round(late * _STEPS / 360)) % _STEPS
            scaled = round(amplitude * 16)
            self.samples[first + k : last : self.slots] = array(
                "H", [_raw(offset, scaled, s) for s in _SINE[start : start + 128 : 4]]
            )
        self._halves += 1
        if self._halves == _HALVES:
            self._halves = 0
            self.overruns += self._is_full
            self._is_full = True
            self._filling = 1 - self._filling

    def window(self):
        if not self._is_full:
            return -1
        self._is_full = False
        self._given = 1 - self._filling
        return self._given * self._size

    def is_intact(self):
        return self._given != self._filling

    def taken(self):
        """The samples of a window that was not given out yet, b"" if there is none."""
        first = self.window()
        return self.samples[first : first + self._size].tobytes() if first >= 0 else b""


def _raw(offset, scaled, sine):
    """What 12 bits show of it."""
    return min(max(offset + (scaled * sine + (8 << 14) >> 18), 0), 4095)
