# SPDX-License-Identifier: MIT
"""A product as it is wired here: its table with this installation's options, and its frames.

Base of devices.link, which knows when to send what. Allocates nothing after construction.
"""

from array import array

from firmline.core.units import clamp, const
from firmline.devices.chain import ModelChain
from firmline.devices.fields import WORK
from firmline.devices.measured import Measured
from firmline.devices.setpoint import word_value
from firmline.modbus.rtu import WRITE_SINGLE

FIRST_PAUSE_MS = const(500)  # between attempts at a lost device; doubles up to the longest
_LONGEST_PAUSE_MS = const(4000)
_MOST_PHASE_W = const(178956970)  # a third of 2**29


class Product:
    """What all links of one product with the same options share.

    `table` from devices.catalog, `options` from the configuration (all optional): phases (mask,
    7), voltage_dv (2300), fallback_w (0), reversion_s (10), poll_ms (100 for a meter, else 1000),
    timeout_ms (150), base (40000: the SunSpec marker or a model), split_phase (False: an EVSE
    between two legs reports one current), reversion_is_safe (False).
    """

    def __init__(self, table, options):
        from firmline.devices import layout  # dropped once all is built

        self.role = table["role"]
        is_meter = self.role == "meter"
        phases = options.get("phases", 7)
        self.phase_count = (phases & 1) + (phases >> 1 & 1) + (phases >> 2 & 1) or 1
        self.voltage_dv = options.get("voltage_dv", 2300)
        fallback_w = options.get("fallback_w", 0)
        self.fallback_w = -abs(fallback_w) if self.role == "pv" else fallback_w
        self.reversion_s = options.get("reversion_s", 10)
        self.refresh_ms = self.reversion_s * 1000 // 3
        self.timer_is_safe = options.get("reversion_is_safe", False)
        self.timeout_ms = options.get("timeout_ms", 150)
        self.longest_pause_ms = FIRST_PAUSE_MS if is_meter else _LONGEST_PAUSE_MS
        self.is_split = self.role == "evse" and options.get("split_phase", False)
        self.states = table["states"]
        self.models = table["models"]
        self.identify = layout.placed_identify(table["identify"])
        self.setup = table["setup"]
        self.command = table["command"]
        self.set_unit = table["set_unit"]
        self.sums_phases = table["total_from_phases"]
        places = layout.conductors(self.role, phases, self.is_split)
        poll_ms = options.get("poll_ms", 100 if is_meter else 1000)
        self.blocks = layout.placed_blocks(table["blocks"], places, poll_ms)
        self.base = options.get("base", 40000)
        self.chain = self.work = None
        if not self.models:  # one fixed map, and no scale factor that a device could have told
            self.chain = ModelChain((), self.base)
            self.work = array("i", [0] * WORK)


class ProductLink(Measured):
    """`unit` 1..247. rated: W or mA, 0 until the device has told."""

    def __init__(self, product, unit, rated):
        Measured.__init__(self, product, product.work or array("i", [0] * WORK))
        self.unit = unit
        self.rated = rated
        self._blocks = product.blocks
        self._chain = product.chain or ModelChain(product.models, product.base)
        self._written_bases = self._known_bases = self._chain.bases
        if product.models:
            self._known_bases = list(self._chain.bases)  # as they were when it was last ready
        self.raw = 0  # set point of the frame being sent
        self._begun_ms = 0
        self._function = 0
        self._address = 0
        self._count = 0

    def _ask(self, master, block):
        self._function = block[1]
        self._address = self._chain.bases[block[0]] + block[2]
        self._count = block[3]
        self._read(master)

    def _read(self, master):
        # All from attributes: with more locals the frame would not fit on the C stack.
        master.start_read(
            self.unit,
            self._function,
            self._address,
            self._count,
            self.product.timeout_ms,
            self._begun_ms,
        )

    def _write(self, master, frame):
        words = frame[3]
        self._address = self._written_bases[frame[0]] + frame[2]
        self._count = len(words)
        if frame[1] == WRITE_SINGLE:
            value = word_value(words[0], self)
            self._write_single(master, value & 0xFFFF)
            return
        k = self._count
        while k:
            k -= 1
            value = word_value(words[k], self)
            master.set_register(k, value)
        self._write_multiple(master)

    def _write_single(self, master, value):
        master.start_write_single(
            self.unit, self._address, value, self.product.timeout_ms, self._begun_ms
        )

    def _write_multiple(self, master):
        master.start_write(
            self.unit, self._address, self._count, self.product.timeout_ms, self._begun_ms
        )

    def _phase_sum_w(self):
        """Each phase alone may show nearly 2**29 W; their sum must not pass it either."""
        total_w = 0
        for k in range(3):
            total_w += clamp(self.l_w[k], -_MOST_PHASE_W, _MOST_PHASE_W)
        return total_w
