# SPDX-License-Identifier: MIT
"""The site's meter where that is CTs on the board's own converter: in the place of a Modbus link
for who reads it, and of a bus for who polls it. Imported only where it is configured.
"""

from firmline.core.units import HALF_RING_MS, const, remaining_ms
from firmline.devices.ct import CtInput, per_256_counts

# Of the event log, beside those of services/eventlog.py: what keeps the inputs from being a sample
# changed (CtInput.faults, 0 for none)
E_METER_FAULT = const(18)

_CYCLES = const(8)  # of the mains in a window
_ENDED = const(8)  # windows


class CtMeter(CtInput):
    """A meter as CtInput says, a bus as services.bus.Bus. For arguments see `start`."""

    meter_index = 0
    crc_errors = exceptions = malformed = 0

    def __init__(self, adc, currents, dv_per_256, voltage_dv, window_ms, events):
        CtInput.__init__(self, adc, currents, dv_per_256, voltage_dv)
        self._window_ms = window_ms
        self._events = events
        self._told = 0
        self._good_windows = 0
        self.master = self  # whose errors count as those of a bus
        self.timeouts = 0  # windows lost because nobody took them in time

    def window_done(self):
        """A fault is told at once, the end of all after a second without any: a loose plug must
        not fill the log."""
        self._good_windows = 0 if self.faults else min(self._good_windows + 1, _ENDED)
        told = 0 if self._good_windows == _ENDED else self._told | self.faults
        if told != self._told:
            self._told = told
            self._events.add(E_METER_FAULT, told)

    def wait_ms(self, now_ms):
        """Until the next window, or the next piece of the one in hand."""
        self.timeouts = self._adc.overruns
        if self._step >= 0:
            return 1
        return remaining_ms(now_ms, self._found_ms, self._window_ms - 1) or 1

    def is_meter_next(self, now_ms):
        """Nothing has to be asked for."""
        return False

    def is_busy(self):
        return False

    def rest_ms(self, now_ms):
        """The converter goes on by itself while the flash is written."""
        return HALF_RING_MS


def start(device, site, hardware, events):
    """The meter of a ct_input; from now on the converter samples. device, site: as the
    configuration has them, checked. OSError where the hardware has no such converter."""
    if not hasattr(hardware, "open_adc"):
        text = "ct_input: %s cannot sample by itself: use a Modbus meter or a metering chip"
        raise OSError(text % hardware.model)
    conductors = site["phases"]
    dv_per_256 = 0
    if device["voltage_mv"] is not None:
        dv_per_256 = per_256_counts(site["voltage_v"] * 10, device["voltage_mv"])
    ma_per_256 = per_256_counts(device["rated_a"] * 1000, device["rated_mv"])
    currents = [ma_per_256] * conductors
    if conductors == 2:
        currents[1] = -ma_per_256  # the legs of a split phase are in antiphase
    hz = device["mains_hz"]
    adc = hardware.open_adc(conductors + bool(dv_per_256), hz)
    window_ms = _CYCLES * 1000 // hz
    return CtMeter(adc, currents, dv_per_256, site["voltage_v"] * 10, window_ms, events)
