# SPDX-License-Identifier: MIT
"""Current transformers on the controller's own converter: amps, and watts where a voltage
transformer tells the direction. Integers only; one window at a time, nothing is allocated.

A CT's output is biased to half the reference, and the input has a weak pull to one rail, so that a
plug that is out moves the offset: 0 A and no CT are then not the same. docs/wiring.md has the
circuit; services/ct_meter.py makes the meter of a site of it.
"""

from array import array

from firmline.core.units import TICKS_MASK, const, mul_div, watts
from firmline.devices.ct_kernel import product_sums, square_sums

OPEN = const(1)  # the offset is not near half the reference: no CT, or no bias
# the signal comes near a rail: more current than the CT and its burden can show, or the plug came
# out or went in within the window
SATURATED = const(2)
NO_VOLTAGE = const(4)  # more than a quarter off the nominal: no transformer, or another one
FAULT_BITS = const(3)  # of each input, the first lowest

_MIDDLE = const(2048)
_OFFSET_LOW = const(1600)
_OFFSET_HIGH = const(2500)
_RAIL_LOW = const(64)  # 50 mV: leakage keeps an open input that much off the ground
_RAIL_HIGH = const(4031)
_REFERENCE_MV = const(3300)


def per_256_counts(rated, rated_mv):
    """Scale of a transformer that gives `rated_mv` (RMS) at `rated` (mA or 0.1 V): what 256 counts
    RMS are. The result must be below 524,288. For the start, not for the cycle."""
    return (rated * 256 * _REFERENCE_MV + rated_mv * 2048) // (rated_mv * 4096)


def power_scale(ma_per_256, dv_per_256):
    """(b, c): watts = mul_div(product in 1/64 count**2, b, c), b * c < 2**30."""
    top = ma_per_256 * dv_per_256
    bottom = 64 * 256 * 256 * 10000
    b = 1
    while 4 * b * b * bottom < top << 30:
        b *= 2
    c = (b * bottom + top // 2) // top
    return b, c


def _signed_scale(ma_per_256, dv_per_256):
    b, c = power_scale(abs(ma_per_256), dv_per_256)
    return (-b if ma_per_256 < 0 else b), c


def isqrt(value):
    """Floor of the square root of a value below 2**30; 0 for what is not above 0."""
    if value <= 0:
        return 0
    root = 32768
    while True:
        better = (root + value // root) >> 1
        if better >= root:
            return root
        root = better


class CtInput:
    """adc: hal.rp2_adc.AdcWindows or alike: `samples`, `slots`, `window()` -> index or -1,
    `is_intact()`. currents: mA per 256 counts of each CT, in the order of the inputs; negative
    where the voltage is in antiphase to that conductor's. dv_per_256: of the voltage input, which
    is the last; 0: there is none, power is then current times `voltage_dv`, the nominal voltage,
    and always an import.

    As a meter: samples, sampled_ms (when the window was found full), last_ok_ms, l_ma, l_w, l_dv,
    total_w. `faults`: OPEN, SATURATED, NO_VOLTAGE << FAULT_BITS * input; a window with a fault is
    no sample, so that the meter goes stale and the site falls back.
    """

    def __init__(self, adc, currents, dv_per_256, voltage_dv):
        self._adc = adc
        self._ma_per_256 = [abs(each) for each in currents]
        self._dv_per_256 = dv_per_256
        self._voltage_dv = voltage_dv
        self._scales = [_signed_scale(each, dv_per_256) for each in currents if dv_per_256]
        inputs = len(currents) + (1 if dv_per_256 else 0)
        self._offsets = [_MIDDLE] * inputs
        self._bases = [_MIDDLE] * inputs  # the offsets of the window in hand
        self._means = [0] * inputs  # 1/8 counts, of what the base left
        self._work = array("i", [0] * 12)
        self._rms = [0] * inputs  # 1/8 counts
        self._watts = [0] * len(currents)
        self._steps = inputs + (len(currents) if dv_per_256 else 0)
        self._step = -1
        self._first = -1
        self._found = 0
        self.faults = 0
        self.samples = 0
        self.sampled_ms = 0
        self.last_ok_ms = 0
        self._found_ms = 0
        self.l_ma = [0, 0, 0]
        self.l_w = [0, 0, 0]
        self.l_dv = [0, 0, 0]
        self.total_w = 0

    def poll(self, now_ms):
        """Take a window if one is full, one piece at each poll: 1 to 1.5 ms of an RP2040 each."""
        if self._step < 0:
            self._first = self._adc.window()
            if self._first >= 0:
                self._step = 0
                self._found = 0
                self._found_ms = now_ms
        elif self._step == self._steps:
            self._step = -1
            self._publish(now_ms)
        else:
            self._do(self._step)
            self._step += 1

    def _do(self, step):
        """Steps: every input's RMS, the voltage's last; then the watts of each current."""
        inputs = len(self._rms)
        if step < inputs:
            self._rms[step] = self._rms_of(self._first, step)
        else:
            self._watts[step - inputs] = self._watts_of(self._first, step - inputs)

    def _publish(self, now_ms):
        currents = len(self._ma_per_256)
        if self._dv_per_256:
            self._take_voltage(currents)
        self.faults = self._found
        self.window_done()
        if not self._adc.is_intact() or self._found:
            return
        self.total_w = 0
        for k in range(currents):
            self.l_ma[k] = mul_div(self._rms[k], self._ma_per_256[k], 2048)
            if self._dv_per_256:
                self.l_w[k] = self._watts[k]
            else:
                self.l_w[k] = watts(self.l_ma[k], self._voltage_dv)
            self.total_w += self.l_w[k]
        self.samples = (self.samples + 1) & TICKS_MASK
        self.sampled_ms = self._found_ms
        self.last_ok_ms = now_ms

    def window_done(self):
        """For who wants to tell of `faults`."""

    def _take_voltage(self, k):
        """Far from the nominal it would make the watts small, whatever flows."""
        self.l_dv[0] = mul_div(self._rms[k], self._dv_per_256, 2048)
        if 4 * abs(self.l_dv[0] - self._voltage_dv) > self._voltage_dv:
            self._found |= NO_VOLTAGE << FAULT_BITS * k

    def _rms_of(self, first, k):
        """RMS of an input in 1/8 counts, without its direct component."""
        work = self._work
        work[0] = self._offsets[k]
        square_sums(self._adc.samples, first + k, self._adc.slots, work)
        mean = work[1] >> 6
        self._means[k] = mean
        self._look(work, FAULT_BITS * k)
        self._follow(k, mean >> 3)
        square = (work[2] << 11) + (work[3] >> 3) - mean * mean
        return isqrt(square)

    def _look(self, work, shift):
        offset = work[0] + (work[1] >> 9)
        if not _OFFSET_LOW <= offset <= _OFFSET_HIGH:
            self._found |= OPEN << shift
        if work[4] <= _RAIL_LOW or work[5] >= _RAIL_HIGH:
            self._found |= SATURATED << shift

    def _follow(self, k, change):
        """The next window's offset; kept where the sums cannot pass 2**30."""
        self._bases[k] = self._offsets[k]
        self._offsets[k] = min(max(self._bases[k] + change, _OFFSET_LOW), _OFFSET_HIGH)

    def _watts_of(self, first, k):
        adc = self._adc
        voltage = len(self._ma_per_256)
        self._place(k, voltage, adc.slots)
        product_sums(adc.samples, first, first + k, adc.slots, self._work)
        return self._scaled(self._scales[k], self._means[k] * self._means[voltage])

    def _scaled(self, scale, direct):
        """Watts of the sums that product_sums has left."""
        product = (self._work[10] << 9) + (self._work[11] >> 5) - direct
        return mul_div(product, scale[0], scale[1])

    def _place(self, k, voltage, slots):
        """Where the voltage of a current lies, for product_sums."""
        work = self._work
        work[0] = self._bases[k]
        work[6] = self._bases[voltage]
        work[7] = voltage - k
        work[8] = voltage - k - slots
        work[9] = 4 - 4 * (voltage - k) // slots
