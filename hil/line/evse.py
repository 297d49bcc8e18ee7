# SPDX-License-Identifier: MIT
"""Emulated charging stations with their own communication watchdog.

A station that hears nothing for its timeout falls back to what was commissioned. Register maps:
ABB Terra AC Modbus communication manual 1.7, Heidelberg Energy Control register table 2021-02-22.
"""

from struct import Struct

from hil.line.registers import RegisterDevice, Timer
from hil.line.rtu import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE

_MIN_MA = 6000  # below 6 A the vehicle must pause (IEC 61851-1)


class Station(RegisterDevice):
    """What both have: a vehicle, a limit in mA, a watchdog, registers refreshed now and then.

    fallback_a is offered from the expiry of the watchdog until messages come back; then the old
    limit is in force again, unless `holds_fallback`: then not before a new limit is written. On
    power-up `initial_a` is offered (default the station's maximum: nobody limits it yet). The
    watchdog runs from power-up if `watchdog_s` > 0.
    """

    def __init__(
        self, world, plant, ev, unit, max_a=32, fallback_a=0, name=None, update_ms=200,
        response_delay_ms=20, initial_a=None, watchdog_s=0, holds_fallback=False,
    ):  # fmt: skip
        super().__init__(world, unit, name, response_delay_ms)
        self.plant = plant
        self.ev = ev
        self.max_ma = round(1000 * max_a)
        self.fallback_ma = round(1000 * fallback_a)
        self.limit_ma = self.max_ma if initial_a is None else round(1000 * initial_a)
        self.watchdog_s = watchdog_s
        self.is_lost = False
        self._holds_fallback = holds_fallback
        self._update_us = round(update_ms * 1000)
        self._refreshed_us = None
        self._watchdog = Timer(world, self._lose)
        self._watchdog.restart(watchdog_s)
        self._offer()

    @property
    def in_force_ma(self):
        """Limit that the station applies now."""
        return min(self.fallback_ma if self.is_lost else self.limit_ma, self.max_ma)

    def heard(self, t_us):
        self._watchdog.restart(self.watchdog_s)
        if self.is_lost and not self._holds_fallback:
            self._find()

    def set_limit(self, limit_ma):
        """A limit was written: it ends a fallback in any case."""
        self.limit_ma = limit_ma
        self._find()

    def set_watchdog(self, seconds):
        self.watchdog_s = seconds
        self._watchdog.restart(seconds)

    def _lose(self):
        self.is_lost = True
        self._offer()

    def _find(self):
        self.is_lost = False
        self._offer()

    def _offer(self):
        self._refreshed_us = None
        self.ev.offer(self.world.now_us, self.in_force_ma / 1000)

    def is_due(self, t_us):
        """Advance the plant and say so when the registers are older than update_ms."""
        if self._refreshed_us is not None and t_us - self._refreshed_us < self._update_us:
            return False
        self._refreshed_us = t_us
        self.plant.advance(t_us)
        return True

    def draw_ma(self):
        """Its own L1..L3, mA: the wired conductors first, whichever of the site's they are.
        Between the two legs of a split-phase service it is a single-phase device and sees one
        current."""
        wires = 1 if self.plant.phases == 2 else self.ev.phases.bit_count()
        return [round(1000 * self.ev.draw_a) if k < wires else 0 for k in range(3)]


class TerraAc(Station):
    """ABB Terra AC: functions 3, 6 and 16. Reads 0x4000..0x4021, writes 0x4100..0x4106.

    Below 6 A the session pauses. Any good request feeds the communication timeout.
    """

    _BASE = 0x4000
    _IMAGE = Struct(">QI I I I I I 3I 3I I I H 2x")  # 0x4000 serial ... 0x4020 timeout

    def __init__(self, *others, **more):
        self._image = bytearray(self._IMAGE.size)
        self._session_ws = None
        super().__init__(*others, **more)

    def _state(self):
        ev = self.ev
        if not ev.plugged:
            return 0
        if not ev.wants:
            return 2
        if ev.draw_a > 0:
            return 4
        return 3 if self.in_force_ma < _MIN_MA else 2

    def _refresh(self):
        ev = self.ev
        state = self._state()
        is_rated = state == 4 and self.in_force_ma >= self.max_ma
        energy_ws = getattr(ev, "energy_ws", 0.0)
        if state == 0 or self._session_ws is None:
            self._session_ws = energy_ws
        volts = [10 * self.plant.voltage_v if k < self.plant.phases else 0 for k in range(3)]
        self._IMAGE.pack_into(
            self._image, 0, self.unit, 0x00010800, self.max_ma, 0, 0x111 if ev.plugged else 0x001,
            state << 8 | is_rated << 15, self.in_force_ma, *self.draw_ma(), *volts,
            round(ev.power_w), round((energy_ws - self._session_ws) / 3600), self.watchdog_s,
        )  # fmt: skip

    def read(self, function, address, count, t_us):
        if function != 3:
            return ILLEGAL_FUNCTION
        begin = 2 * (address - self._BASE)
        if begin < 0 or begin + 2 * count > len(self._image):
            return ILLEGAL_ADDRESS
        if self.is_due(t_us):
            self._refresh()
        return self._image[begin : begin + 2 * count]

    def write(self, address, values, t_us):
        if address == 0x4100 and len(values) == 2:
            limit_ma = values[0] << 16 | values[1]
            if limit_ma > 80_000:
                return ILLEGAL_VALUE
            self.set_limit(limit_ma)
            return 0
        if len(values) != 1 or address not in (0x4103, 0x4105, 0x4106):
            return ILLEGAL_ADDRESS
        if address == 0x4106:
            self.set_watchdog(values[0])
        elif values[0] > 1:
            return ILLEGAL_VALUE
        return 0


class Heidelberg(Station):
    """Heidelberg Energy Control: 16 A, input registers by 4, holding registers by 3, 6 and 16.

    Watchdog in ms (register 257, 15 s at power-up, 0 off), failsafe current in 0.1 A (262).
    """

    def __init__(self, world, plant, ev, unit, max_a=16, watchdog_s=15, **more):
        self._input = {k: 0 for k in range(4, 19)}
        self._standby, self._lock = 0, 1
        super().__init__(world, plant, ev, unit, max_a=max_a, watchdog_s=watchdog_s, **more)
        self._input[4] = 0x0108
        self._input[9] = 300
        self._input[13] = 1
        self._input[100], self._input[101] = self.max_ma // 1000, 6

    @property
    def in_force_ma(self):
        return super().in_force_ma if self._lock else 0

    def _state(self):
        ev = self.ev
        if not self._lock:
            return 10
        held = self.in_force_ma < _MIN_MA
        if not ev.plugged:
            return 2 if held else 3
        if not ev.wants:
            return 4 if held else 5
        return 6 if held else 7

    def _refresh(self):
        power_w = round(self.ev.power_w)
        self._input[5] = self._state()
        for k, draw_ma in enumerate(self.draw_ma()):
            self._input[6 + k] = round(draw_ma / 100)
            self._input[10 + k] = self.plant.voltage_v if k < self.plant.phases else 0
        self._input[14] = power_w
        energy_wh = round(getattr(self.ev, "energy_ws", 0.0) / 3600)
        for k in (15, 17):
            self._input[k], self._input[k + 1] = energy_wh >> 16, energy_wh & 0xFFFF

    def _holding(self):
        return {
            257: round(1000 * self.watchdog_s),
            258: self._standby,
            259: self._lock,
            261: self.limit_ma // 100,
            262: self.fallback_ma // 100,
        }

    def read(self, function, address, count, t_us):
        if function == 4 and self.is_due(t_us):
            self._refresh()
        registers = self._input if function == 4 else self._holding()
        values = [registers.get(address + k) for k in range(count)]
        if None in values:
            return ILLEGAL_ADDRESS
        return b"".join(value.to_bytes(2, "big") for value in values)

    def write(self, address, values, t_us):
        known = self._holding()
        for k, value in enumerate(values):
            if address + k not in known:
                return ILLEGAL_ADDRESS
            if not self._accepts(address + k, value):
                return ILLEGAL_VALUE
        for k, value in enumerate(values):
            self._take(address + k, value)
        return 0

    def _accepts(self, register, value):
        if register in (261, 262):
            return value == 0 or 60 <= value <= 160
        if register == 258:
            return value in (0, 4)
        return register == 257 or value in (0, 1)

    def _take(self, register, value):
        if register == 257:
            self.set_watchdog(value / 1000)
        elif register == 258:
            self._standby = value
        elif register == 259:
            self._lock = value
            self._offer()
        elif register == 261:
            self.set_limit(100 * value)
        else:
            self.fallback_ma = 100 * value
            self._offer()
