# SPDX-License-Identifier: MIT
"""Emulated SunSpec inverters and batteries with their own reversion timers.

That timer is why they are here: when the controller or the cable dies, the device itself has to
fall back. W in the models is positive for generation, the plant's and the controller's device
sign is positive for consumption; the sign is turned here and nowhere else.
"""

from hil.line.registers import Timer
from hil.line.sunspec import SunSpecChain

_FLAG = (0, 1)
_STATE_OFF, _STATE_SLEEPING, _STATE_RUNNING, _STATE_THROTTLED = 1, 2, 4, 5
_CHARGE_EMPTY, _CHARGE_OUT, _CHARGE_IN, _CHARGE_FULL, _CHARGE_HOLDING = 2, 3, 4, 5, 6


class Der(SunSpecChain):
    """A source behind SunSpec models: measures its element, commands it, at world time.

    update_ms: how old measured points may be, counted from the read that refreshed them.
    W_SF is 0 up to 32 kW and 1 above. Percentages are written in units of 10**pct_sf.
    """

    def __init__(
        self, world, plant, element, unit, models, rated_w, name, update_ms, response_delay_ms,
        base, pct_sf,
    ):  # fmt: skip
        super().__init__(world, unit, models, name, response_delay_ms, base)
        self.plant = plant
        self.element = element
        self.rated_w = rated_w
        self._update_us = round(update_ms * 1000)
        self._refreshed_us = None
        self._w_sf = 0 if rated_w <= 32000 else 1
        self._pct_sf = pct_sf
        self._per_pct = 10**-pct_sf  # raw counts of one percent

    def measure(self):
        """Write the measured points; the plant stands at the present time."""

    def refresh(self, t_us):
        if self._refreshed_us is None or t_us - self._refreshed_us >= self._update_us:
            self._refreshed_us = t_us
            self.plant.advance(t_us)
            self.measure()
        return True

    def scaled_w(self, w):
        return round(w / 10**self._w_sf)

    def share(self, model, point):
        """A percent point as a fraction."""
        return self.get(model, point) / (100 * self._per_pct)

    def put_inverter_103(self):
        for point, scale in (("A", -2), ("V", -1), ("W", self._w_sf), ("Hz", -2)):
            self.put(103, f"{point}_SF", scale)
        self.put(103, "PhVphA", 10 * self.plant.voltage_v)
        self.put(103, "Hz", 5000)
        self.put(103, "Evt1", 0)
        self.put(120, "WRtg", self.scaled_w(self.rated_w))
        self.put(120, "WRtg_SF", self._w_sf)

    def measure_103(self):
        power_w = -self.element.power_w
        self.put(103, "W", self.scaled_w(power_w))
        self.put(103, "A", round(100 * abs(power_w) / self.plant.voltage_v))
        self.put(103, "St", _STATE_RUNNING if power_w else _STATE_SLEEPING)

    def put_der_701(self):
        self.put(701, "W_SF", self._w_sf)
        self.put(701, "St", 1)
        self.put(701, "ConnSt", 1)
        self.put(701, "Alrm", 0)
        self.put(702, "W_SF", self._w_sf)
        self.put(702, "WMaxRtg", self.scaled_w(self.rated_w))
        self.put(702, "WMax", self.scaled_w(self.rated_w))

    def measure_701(self):
        self.put(701, "W", self.scaled_w(-self.element.power_w))
        self.put(701, "InvSt", 3 if self.element.power_w else 7)


class SunSpecPv123(Der):
    """PV inverter with the older models 103, 120 and 123.

    WMaxLimPct acts while WMaxLim_Ena is 1. Writing either restarts the reversion timer
    (WMaxLimPct_RvrtTms seconds, 0 none); its expiry sets WMaxLim_Ena to 0: no limit. Conn and
    Conn_RvrtTms likewise; expiry connects. Window and ramp times are kept and have no effect.
    """

    WRITABLE = {
        (123, "Conn_WinTms"): None,
        (123, "Conn_RvrtTms"): None,
        (123, "Conn"): _FLAG,
        (123, "WMaxLimPct"): None,
        (123, "WMaxLimPct_WinTms"): None,
        (123, "WMaxLimPct_RvrtTms"): None,
        (123, "WMaxLimPct_RmpTms"): None,
        (123, "WMaxLim_Ena"): _FLAG,
    }

    def __init__(
        self, world, plant, element, unit, rated_w, name=None, update_ms=200,
        response_delay_ms=20, base=40000, pct_sf=-2,
    ):  # fmt: skip
        super().__init__(
            world, plant, element, unit, (103, 120, 123), rated_w, name, update_ms,
            response_delay_ms, base, pct_sf,
        )  # fmt: skip
        full = 100 * self._per_pct
        self.WRITABLE = {**self.WRITABLE, (123, "WMaxLimPct"): (0, full)}
        self.put_inverter_103()
        self.put(120, "DERTyp", 4)
        self.put(123, "WMaxLimPct_SF", pct_sf)
        self.put(123, "WMaxLimPct", full)
        self.put(123, "Conn", 1)
        for point in ("Conn_WinTms", "Conn_RvrtTms", "WMaxLim_Ena"):
            self.put(123, point, 0)
        for part in ("WinTms", "RvrtTms", "RmpTms"):
            self.put(123, f"WMaxLimPct_{part}", 0)
        self._limit_timer = Timer(world, self._unlimit)
        self._connect_timer = Timer(world, self._connect)

    def measure(self):
        self.measure_103()

    def written(self, points, t_us):
        if points & {"WMaxLimPct", "WMaxLim_Ena"}:
            enabled = self.get(123, "WMaxLim_Ena") == 1
            self._limit_timer.restart(self.get(123, "WMaxLimPct_RvrtTms") if enabled else 0)
        if "Conn" in points:
            away = self.get(123, "Conn") == 0
            self._connect_timer.restart(self.get(123, "Conn_RvrtTms") if away else 0)
        self._apply()

    def _unlimit(self):
        self.put(123, "WMaxLim_Ena", 0)
        self._apply()

    def _connect(self):
        self.put(123, "Conn", 1)
        self._apply()

    def _apply(self):
        cap_w = self.rated_w
        if self.get(123, "WMaxLim_Ena") == 1:
            cap_w = self.rated_w * self.share(123, "WMaxLimPct")
        if self.get(123, "Conn") == 0:
            cap_w = 0
        self.element.cap(self.world.now_us, cap_w)


class Der704(Der):
    """Reversion as in model 704: on expiry value := Rvrt and Ena := EnaRvrt.

    Writing Ena or one of SETPOINTS restarts the timer when the function is enabled; disabling
    stops it. RvrtTms counts from then; writing RvrtTms alone touches no running timer.
    """

    PREFIX = ""
    SETPOINTS = ()

    def __init__(self, world, *others):
        super().__init__(world, *others)
        self.put_der_701()
        for point in ("Ena", "EnaRvrt", "RvrtTms", "RvrtRem"):
            self.put(704, self.PREFIX + point, 0)
        self._timer = Timer(world, self._revert)

    def refresh(self, t_us):
        self.put(704, f"{self.PREFIX}RvrtRem", self._timer.remaining_s())
        return super().refresh(t_us)

    def measure(self):
        self.measure_701()

    def written(self, points, t_us):
        if points & {f"{self.PREFIX}Ena", *self.SETPOINTS}:
            enabled = self.get(704, f"{self.PREFIX}Ena") == 1
            self._timer.restart(self.get(704, f"{self.PREFIX}RvrtTms") if enabled else 0)
            self.apply()

    def _revert(self):
        for point in self.SETPOINTS:
            if point != "WSetMod":
                self.put(704, point, self.get(704, f"{point}Rvrt"))
        self.put(704, f"{self.PREFIX}Ena", self.get(704, f"{self.PREFIX}EnaRvrt"))
        self.apply()

    def apply(self):
        """Bring the element to what the registers now say."""


class SunSpecPv704(Der704):
    """PV inverter with models 701, 702 and 704, active power limit (WMaxLimPct) only."""

    PREFIX = "WMaxLimPct"
    SETPOINTS = ("WMaxLimPct",)

    def __init__(
        self, world, plant, element, unit, rated_w, name=None, update_ms=200,
        response_delay_ms=20, base=40000, pct_sf=-2,
    ):  # fmt: skip
        full = 100 * 10**-pct_sf
        self.WRITABLE = {
            (704, "WMaxLimPctEna"): _FLAG,
            (704, "WMaxLimPct"): (0, full),
            (704, "WMaxLimPctRvrt"): (0, full),
            (704, "WMaxLimPctEnaRvrt"): _FLAG,
            (704, "WMaxLimPctRvrtTms"): None,
        }
        super().__init__(
            world, plant, element, unit, (701, 702, 704), rated_w, name, update_ms,
            response_delay_ms, base, pct_sf,
        )  # fmt: skip
        self.put(704, "WMaxLimPct_SF", pct_sf)
        self.put(704, "WMaxLimPct", full)
        self.put(704, "WMaxLimPctRvrt", full)

    def apply(self):
        enabled = self.get(704, "WMaxLimPctEna") == 1
        cap_w = self.rated_w * (self.share(704, "WMaxLimPct") if enabled else 1)
        self.element.cap(self.world.now_us, cap_w)


class SunSpecBattery704(Der704):
    """Battery with models 701, 702, 704 and 713, active power set point (WSet) only.

    WSet and WSetPct (of the discharge rating) are positive for discharging. While not enabled it
    runs `autonomous_w` (device sign: > 0 charges), a battery's own idea of what to do.
    """

    PREFIX = "WSet"
    SETPOINTS = ("WSet", "WSetPct", "WSetMod")

    def __init__(
        self, world, plant, element, unit, max_charge_w, max_discharge_w, name=None,
        update_ms=200, response_delay_ms=20, base=40000, pct_sf=-2, autonomous_w=0,
    ):  # fmt: skip
        full = 100 * 10**-pct_sf
        self.max_charge_w = max_charge_w
        self.max_discharge_w = max_discharge_w
        self.autonomous_w = autonomous_w
        self.WRITABLE = {
            (704, "WSetEna"): _FLAG,
            (704, "WSetMod"): _FLAG,
            (704, "WSet"): (-max_charge_w, max_discharge_w),
            (704, "WSetRvrt"): (-max_charge_w, max_discharge_w),
            (704, "WSetPct"): (-full, full),
            (704, "WSetPctRvrt"): (-full, full),
            (704, "WSetEnaRvrt"): _FLAG,
            (704, "WSetRvrtTms"): None,
        }
        rated_w = max(max_charge_w, max_discharge_w)
        super().__init__(
            world, plant, element, unit, (701, 702, 704, 713), rated_w, name, update_ms,
            response_delay_ms, base, pct_sf,
        )  # fmt: skip
        for point in ("WSetMod", "WSet", "WSetRvrt", "WSetPct", "WSetPctRvrt", "WSet_SF"):
            self.put(704, point, 0)
        self.put(704, "WSetPct_SF", pct_sf)
        self.put(702, "WChaRteMaxRtg", self.scaled_w(max_charge_w))
        self.put(702, "WDisChaRteMaxRtg", self.scaled_w(max_discharge_w))
        self.put(713, "Pct_SF", -1)
        self.put(713, "SoH", 1000)
        self.put(713, "Sta", 0)
        if autonomous_w:
            self.apply()

    def measure(self):
        super().measure()
        self.put(713, "SoC", round(1000 * self.element.soc))

    def apply(self):
        w = self.autonomous_w
        if self.get(704, "WSetEna") == 1:
            if self.get(704, "WSetMod") == 1:
                w = -self.get(704, "WSet")
            else:
                w = -self.max_discharge_w * self.share(704, "WSetPct")
        self.element.setpoint(self.world.now_us, w)


class SunSpecBattery124(Der):
    """Battery with the older models 103, 120 and 124.

    The two rates bound the power while their bit of StorCtl_Mod is set: charging at most InWRte
    percent of WChaMax (bit 0), discharging at most OutWRte percent of the discharge rating
    (bit 1); a negative rate forces the other direction. Inside the bounds the battery runs
    `autonomous_w` (> 0 charges). Writing a rate or the mode restarts InOutWRte_RvrtTms; expiry
    sets StorCtl_Mod to 0: no bounds.
    """

    def __init__(
        self, world, plant, element, unit, max_charge_w, max_discharge_w, name=None,
        update_ms=200, response_delay_ms=20, base=40000, pct_sf=-2, autonomous_w=0,
    ):  # fmt: skip
        full = 100 * 10**-pct_sf
        self.max_charge_w = max_charge_w
        self.max_discharge_w = max_discharge_w
        self.autonomous_w = autonomous_w
        self.WRITABLE = {
            (124, "StorCtl_Mod"): (0, 3),
            (124, "OutWRte"): (-full, full),
            (124, "InWRte"): (-full, full),
            (124, "InOutWRte_WinTms"): None,
            (124, "InOutWRte_RvrtTms"): None,
            (124, "InOutWRte_RmpTms"): None,
        }
        rated_w = max(max_charge_w, max_discharge_w)
        super().__init__(
            world, plant, element, unit, (103, 120, 124), rated_w, name, update_ms,
            response_delay_ms, base, pct_sf,
        )  # fmt: skip
        self.put_inverter_103()
        self.put(120, "DERTyp", 82)
        for point, w in (("MaxChaRte", max_charge_w), ("MaxDisChaRte", max_discharge_w)):
            self.put(120, point, self.scaled_w(w))
            self.put(120, f"{point}_SF", self._w_sf)
        self.put(124, "WChaMax", self.scaled_w(max_charge_w))
        self.put(124, "WChaMax_SF", self._w_sf)
        self.put(124, "ChaState_SF", -1)
        self.put(124, "InOutWRte_SF", pct_sf)
        self.put(124, "WChaGra", 100)
        self.put(124, "WDisChaGra", 100)
        self.put(124, "WChaDisChaGra_SF", 0)
        self.put(124, "ChaGriSet", 1)
        self.put(124, "OutWRte", full)
        self.put(124, "InWRte", full)
        for point in ("StorCtl_Mod", "InOutWRte_WinTms", "InOutWRte_RvrtTms", "InOutWRte_RmpTms"):
            self.put(124, point, 0)
        self._timer = Timer(world, self._revert)
        if autonomous_w:
            self._apply()

    def measure(self):
        self.measure_103()
        soc, power_w = self.element.soc, self.element.power_w
        self.put(124, "ChaState", round(1000 * soc))
        state = _CHARGE_IN if power_w > 0 else _CHARGE_OUT if power_w < 0 else _CHARGE_HOLDING
        if not power_w and soc in (0, 1):
            state = _CHARGE_FULL if soc else _CHARGE_EMPTY
        self.put(124, "ChaSt", state)

    def written(self, points, t_us):
        if points & {"OutWRte", "InWRte", "StorCtl_Mod"}:
            bounded = self.get(124, "StorCtl_Mod")
            self._timer.restart(self.get(124, "InOutWRte_RvrtTms") if bounded else 0)
            self._apply()

    def _revert(self):
        self.put(124, "StorCtl_Mod", 0)
        self._apply()

    def _apply(self):
        mode = self.get(124, "StorCtl_Mod")
        high, low = self.max_charge_w, -self.max_discharge_w
        if mode & 1:
            high = self.max_charge_w * self.share(124, "InWRte")
        if mode & 2:
            low = -self.max_discharge_w * self.share(124, "OutWRte")
        w = min(max(self.autonomous_w, low), high)
        self.element.setpoint(self.world.now_us, w)
