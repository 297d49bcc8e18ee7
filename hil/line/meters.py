# SPDX-License-Identifier: MIT
"""Emulated energy meters. They report the mean of the truth over their own last interval.

That mean, the interval and the response delay are what limit any controller: a meter that
refreshes every 200 ms shows a step up to 200 ms late and smeared over one interval.
"""

from struct import Struct

from hil.line.registers import RegisterDevice
from hil.line.rtu import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE
from hil.line.sunspec import SunSpecChain

_WS_PER_WH = 3600.0


class IntervalMeter:
    """Mean power over fixed intervals of `update_us`, counted from the world's start.

    The plant only moves forward and others advance it too, so the readings are taken by an
    event at each interval's end. mean_w[0] is the total, 1..3 the conductors, W, + imports.
    `sequence` counts intervals (0: none is complete); `frozen` > 0 holds every value.
    """

    def __init__(self, world, plant, update_us):
        if update_us <= 0:
            raise ValueError(f"update_us {update_us}: positive wanted")
        self.mean_w = [0.0] * 4
        self.import_wh = 0.0
        self.export_wh = 0.0
        self.sequence = 0
        self.frozen = 0
        self.gains = []
        self._world = world
        self._plant = plant
        self._update_us = update_us
        self._per_s = 1e6 / update_us
        plant.advance(world.now_us)
        self._energy_ws = list(plant.energy_ws)
        begin_us = world.now_us - world.now_us % update_us
        world.at(begin_us + update_us, self._tick, begin_us + update_us)

    def _tick(self, t_us):
        self._world.at(t_us + self._update_us, self._tick, t_us + self._update_us)
        plant = self._plant
        plant.advance(t_us)
        if self.frozen:
            self._energy_ws[:] = plant.energy_ws
            return
        old0, old1, old2, old3 = self._energy_ws
        new0, new1, new2, new3 = self._energy_ws = plant.energy_ws[:4]
        per_s = self._per_s
        for gain in self.gains:
            per_s *= gain
        mean_w = self.mean_w
        mean_w[0] = (new0 - old0) * per_s
        mean_w[1] = (new1 - old1) * per_s
        mean_w[2] = (new2 - old2) * per_s
        mean_w[3] = (new3 - old3) * per_s
        if new0 > old0:
            self.import_wh += (new0 - old0) / _WS_PER_WH
        else:
            self.export_wh += (old0 - new0) / _WS_PER_WH
        self.sequence += 1


class Sdm630(RegisterDevice):
    """Eastron SDM630: function 4, float32 high word first, currents as magnitudes.

    Serves 0x0000..0x004B. At most 80 registers a request, an even count. Silent until its
    first interval is complete. Power factor 1: the plant has no reactive power.
    """

    _VOLTS = Struct(">3f")
    _PHASES = Struct(">9f")  # 0x0006: A x3, W x3, VA x3
    _UNITY = Struct(">3f")  # 0x001E: power factor x3
    _MEANS = Struct(">f4x2f")  # 0x002A mean V; 0x002E mean A, 0x0030 sum A
    _TOTAL = Struct(">f4xf")  # 0x0034 W, 0x0038 VA
    _ENERGY = Struct(">3f")  # 0x0046 Hz, 0x0048 imported kWh, 0x004A exported kWh

    def __init__(
        self, world, plant, unit, name=None, update_ms=200, response_delay_ms=20, hz=50.0
    ):
        super().__init__(world, unit, name, response_delay_ms)
        self.meter = IntervalMeter(world, plant, round(update_ms * 1000))
        self._hz = hz
        self._phases = plant.phases
        self._volts = [float(plant.voltage_v) if k < plant.phases else 0.0 for k in range(3)]
        self._per_volt = 1.0 / plant.voltage_v
        self._image = bytearray(2 * 0x4C)
        self._shown = 0
        self._VOLTS.pack_into(self._image, 0, *self._volts)
        self._UNITY.pack_into(self._image, 2 * 0x1E, 1.0, 1.0, 1.0)

    def read(self, function, address, count, t_us):
        if function != 4:
            return ILLEGAL_FUNCTION
        if count & 1 or count > 80:
            return ILLEGAL_VALUE
        if address + count > 0x4C:
            return ILLEGAL_ADDRESS
        meter = self.meter
        if meter.sequence != self._shown:
            self._refresh(meter)
        elif not meter.sequence:
            return None
        return self._image[2 * address : 2 * (address + count)]

    def _refresh(self, meter):
        self._shown = meter.sequence
        total, w1, w2, w3 = meter.mean_w
        va1, va2, va3 = abs(w1), abs(w2), abs(w3)
        k = self._per_volt
        a1, a2, a3 = va1 * k, va2 * k, va3 * k
        image = self._image
        self._PHASES.pack_into(image, 12, a1, a2, a3, w1, w2, w3, va1, va2, va3)
        amps = a1 + a2 + a3
        self._MEANS.pack_into(image, 0x54, self._volts[0], amps / self._phases, amps)
        self._TOTAL.pack_into(image, 0x68, total, va1 + va2 + va3)
        import_kwh, export_kwh = meter.import_wh / 1000.0, meter.export_wh / 1000.0
        self._ENERGY.pack_into(image, 0x8C, self._hz, import_kwh, export_kwh)


class SunSpecMeter(SunSpecChain):
    """SunSpec meter: model 203 (integers with scale factors) or 213 (float32).

    W is positive for import. The scale factors of 203 are the finest that hold
    `rated_a` on three conductors at once; beyond them a value saturates.
    """

    def __init__(
        self,
        world,
        plant,
        unit,
        name=None,
        model=203,
        update_ms=200,
        response_delay_ms=20,
        hz=50.0,
        rated_a=100,
        base=40000,
    ):
        if model not in (203, 213):
            raise ValueError(f"model {model}: 203 or 213 wanted")
        super().__init__(world, unit, (model,), name, response_delay_ms, base)
        self.meter = IntervalMeter(world, plant, round(update_ms * 1000))
        self._model = model
        self._plant = plant
        self._shown = 0
        volts = plant.voltage_v
        self._sf = {
            "A": _finest_scale(3 * rated_a),
            "V": -1,
            "Hz": -2,
            "W": _finest_scale(3 * rated_a * volts),
            "TotWh": 0,
        }
        self._conductors = "ABC"[: plant.phases]
        if model == 203:
            for name_, scale in self._sf.items():
                self.put(203, f"{name_}_SF", scale)
        self.put(model, "Evt", 0)
        self._set("Hz", hz, "Hz")
        self._set("PhV", volts, "V")
        for letter in self._conductors:
            self._set(f"PhVph{letter}", volts, "V")

    def _set(self, point, value, unit):
        if self._model == 203:
            value = round(value / 10.0 ** self._sf[unit])
        self.put(self._model, point, value)

    def refresh(self, t_us):
        meter = self.meter
        if meter.sequence == self._shown:
            return meter.sequence > 0
        self._shown = meter.sequence
        volts = self._plant.voltage_v
        amps = 0.0
        for k, letter in enumerate(self._conductors, 1):
            amps += abs(meter.mean_w[k]) / volts
            self._set(f"Aph{letter}", abs(meter.mean_w[k]) / volts, "A")
            self._set(f"Wph{letter}", meter.mean_w[k], "W")
        self._set("A", amps, "A")
        self._set("W", meter.mean_w[0], "W")
        self._set("TotWhImp", meter.import_wh, "TotWh")
        self._set("TotWhExp", meter.export_wh, "TotWh")
        return True


def _finest_scale(largest):
    """The smallest exponent -3..4 with largest / 10**exponent <= 32,000."""
    return next(k for k in range(-3, 5) if largest / 10.0**k <= 32000)
