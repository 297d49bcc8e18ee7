# SPDX-License-Identifier: MIT
"""A product as it is wired here: its table with this installation's options, and its frames.

Base of devices.link, which knows when to send what. Allocates nothing after construction.
"""

from firmline.core.units import clamp, const
from firmline.devices.chain import ModelChain
from firmline.devices.measured import Measured
from firmline.devices.setpoint import word_value
from firmline.modbus.rtu import WRITE_SINGLE

FIRST_PAUSE_MS = const(500)  # between attempts at a lost device; doubles up to the longest
_LONGEST_PAUSE_MS = const(4000)
_MOST_PHASE_W = const(178956970)  # a third of 2**29


class Product(Measured):
    """`table` from devices.catalog, `unit` 1..247, `options` from the configuration.

    Options (all optional): phases (mask, 7), voltage_dv (2300), rated_w, fallback_w (0),
    reversion_s (10), poll_ms (100 for a meter, else 1000), timeout_ms (150), base (40000: the
    SunSpec marker or a model), split_phase (False: an EVSE between two legs reports one current),
    reversion_is_safe (False).
    """

    def __init__(self, table, unit, options):
        Measured.__init__(self, table["states"])
        self.role = table["role"]
        self.unit = unit
        self._open_options(table, options)
        self._open_table(table, options)
        self.raw = 0  # set point of the frame being sent
        self._begun_ms = 0
        self._function = 0
        self._address = 0
        self._count = 0

    def _open_options(self, table, options):
        phases = options.get("phases", 7)
        self.phase_count = (phases & 1) + (phases >> 1 & 1) + (phases >> 2 & 1) or 1
        self.voltage_dv = options.get("voltage_dv", 2300)
        self.rated = options.get("rated_w", 0)
        fallback_w = options.get("fallback_w", 0)
        self._fallback_w = -abs(fallback_w) if self.role == "pv" else fallback_w
        self.reversion_s = options.get("reversion_s", 10)
        self._refresh_ms = self.reversion_s * 1000 // 3
        self._poll_ms = options.get("poll_ms", 100 if self.role == "meter" else 1000)
        self._timeout_ms = options.get("timeout_ms", 150)
        self._longest_pause_ms = FIRST_PAUSE_MS if self.role == "meter" else _LONGEST_PAUSE_MS
        self._is_split = self.role == "evse" and options.get("split_phase", False)
        self.timer_is_safe = options.get("reversion_is_safe", False)

    def _open_table(self, table, options):
        from firmline.devices.layout import conductors, placed_blocks, placed_identify  # not kept

        places = conductors(self.role, options.get("phases", 7), self._is_split)
        self._models = table["models"]
        self._chain = ModelChain(self._models, options.get("base", 40000))
        self._known_bases = list(self._chain.bases)  # as they were when it was last ready
        self._written_bases = self._chain.bases
        self._identify = placed_identify(table["identify"])
        self._setup = table["setup"]
        self._command = table["command"]
        self._set_unit = table["set_unit"]
        self._sums_phases = table["total_from_phases"]
        self._blocks = placed_blocks(table["blocks"], places, self._poll_ms)

    def _ask(self, master, block):
        self._function = block[1]
        self._address = self._chain.bases[block[0]] + block[2]
        self._count = block[3]
        self._read(master)

    def _read(self, master):
        # All from attributes: with more locals the frame would not fit on the C stack.
        master.start_read(
            self.unit, self._function, self._address, self._count, self._timeout_ms, self._begun_ms
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
            self.unit, self._address, value, self._timeout_ms, self._begun_ms
        )

    def _write_multiple(self, master):
        master.start_write(self.unit, self._address, self._count, self._timeout_ms, self._begun_ms)

    def _phase_sum_w(self):
        """Each phase alone may show nearly 2**29 W; their sum must not pass it either."""
        total_w = 0
        for k in range(3):
            total_w += clamp(self.l_w[k], -_MOST_PHASE_W, _MOST_PHASE_W)
        return total_w
