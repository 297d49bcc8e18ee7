# SPDX-License-Identifier: MIT
"""The controller's own Modbus map: one table, from which the server, docs/registers.md and the
host tools derive. It opens as a SunSpec device (common 1, meter 203) and ends with a private
Firmline model, so that any SunSpec client can read the PCC.

Called by modbus.server with PDU addresses. Reading and writing never allocate, never raise.
Measured SunSpec points read "not implemented" while the sample is not usable: a client must not
take an old value for a live one.
"""

from array import array

from firmline.core.units import clamp, const
from firmline.services.headend import NONE
from firmline.version import VERSION

BASE = const(40000)
FIRMLINE_MODEL = const(64900)  # vendor range, private, not registered with SunSpec
MAP_VERSION = const(1)
MAX_RESOURCES = const(16)

# --- telemetry: an array('i') that the app fills; every index is named here and nowhere else ---
T_MODE = const(0)
T_STAGE = const(1)
T_HEAD_END = const(2)
T_CAUSE = const(3)
T_METER_IS_USABLE = const(4)  # 1: the PCC sample is fresh or late, 0: lost or none yet
T_METER_AGE_MS = const(5)
T_PCC_W = const(6)
T_L1_W = const(7)  # L1, L2, L3 in a row, also below
T_L1_MA = const(10)
T_L1_DV = const(13)
T_IN_FORCE_IMPORT_W = const(16)
T_IN_FORCE_EXPORT_W = const(17)
T_IN_FORCE_MA = const(18)
T_BINDING_IMPORT = const(19)
T_BINDING_EXPORT = const(20)
T_BINDING_CONDUCTOR = const(21)
T_EXPIRES_IN_S = const(22)
T_CYCLES = const(23)
T_LATE_CYCLES = const(24)
T_WORST_CYCLE_US = const(25)
T_UPTIME_S = const(26)
T_FALLBACKS = const(27)
T_BUS_ERRORS = const(28)
T_HEARTBEAT = const(29)  # 29..35 are filled by Registers from the head-end
T_DYNAMIC_IMPORT_W = const(30)
T_DYNAMIC_EXPORT_W = const(31)
T_DYNAMIC_LEFT_S = const(32)
T_EMERGENCY_IMPORT_W = const(33)
T_EMERGENCY_EXPORT_W = const(34)
T_EMERGENCY_LEFT_S = const(35)
T_RESOURCES = const(36)
T_RESOURCE_BASE = const(37)  # + 2 * i: command W, + 1: power W
TELEMETRY_SIZE = const(69)

# --- kinds of points: how a row of the table becomes registers ---
CONST = const(0)  # uint16; the source is the value
ABSENT = const(1)  # int16, always 0x8000: not implemented
ZERO = const(2)  # the source counts registers that are always 0
TEXT = const(3)  # the source indexes the identity texts, the unit gives the registers
SETTING = const(4)  # constant fixed at start; the source indexes the settings
U16 = const(5)  # the source is a telemetry index, also below
I32 = const(6)  # two registers, high word first
AMPS = const(7)  # int16, mA by the scale factor of amps
VOLTS = const(8)  # int16, 0.1 V
WATTS = const(9)  # int16, W by the scale factor of watts
AMPS_SUM = const(10)  # int16, L1 + L2 + L3
VOLTS_MEAN = const(11)  # int16, mean of the site's conductors
EVENTS = const(12)  # bitfield32: bit 7 (missing sensor) while the sample is not usable

_HIGH = const(13)  # register codes only: the halves of I32
_LOW = const(14)
_ABSENT_16 = const(0x8000)
_MISSING_SENSOR = const(0x80)
_SUMMAND = const(0x0FFFFFFF)  # three of them stay below 2**30

# model, point, kind, source, unit or register count; in the order of the addresses
POINTS = (
    (0, "SunS", CONST, 0x5375, ""),
    (0, "SunS_low", CONST, 0x6E53, ""),
    (1, "ID", CONST, 1, ""),
    (1, "L", CONST, 66, ""),
    (1, "Mn", TEXT, 0, 16),
    (1, "Md", TEXT, 1, 16),
    (1, "Opt", TEXT, 2, 8),
    (1, "Vr", TEXT, 3, 8),
    (1, "SN", TEXT, 4, 16),
    (1, "DA", SETTING, 3, ""),
    (1, "Pad", ABSENT, 1, ""),
    (203, "ID", CONST, 203, ""),
    (203, "L", CONST, 105, ""),
    (203, "A", AMPS_SUM, T_L1_MA, "A"),
    (203, "AphA", AMPS, T_L1_MA, "A"),
    (203, "AphB", AMPS, T_L1_MA + 1, "A"),
    (203, "AphC", AMPS, T_L1_MA + 2, "A"),
    (203, "A_SF", SETTING, 0, ""),
    (203, "PhV", VOLTS_MEAN, T_L1_DV, "V"),
    (203, "PhVphA", VOLTS, T_L1_DV, "V"),
    (203, "PhVphB", VOLTS, T_L1_DV + 1, "V"),
    (203, "PhVphC", VOLTS, T_L1_DV + 2, "V"),
    (203, "PPV", ABSENT, 1, "V"),
    (203, "PhVphAB", ABSENT, 1, "V"),
    (203, "PhVphBC", ABSENT, 1, "V"),
    (203, "PhVphCA", ABSENT, 1, "V"),
    (203, "V_SF", SETTING, 1, ""),
    (203, "Hz", ABSENT, 1, "Hz"),
    (203, "Hz_SF", ABSENT, 1, ""),
    (203, "W", WATTS, T_PCC_W, "W"),
    (203, "WphA", WATTS, T_L1_W, "W"),
    (203, "WphB", WATTS, T_L1_W + 1, "W"),
    (203, "WphC", WATTS, T_L1_W + 2, "W"),
    (203, "W_SF", SETTING, 2, ""),
    (203, "VA..PF_SF", ABSENT, 15, ""),
    (203, "TotWhExp..TotWhImpPhC", ZERO, 16, "Wh"),
    (203, "TotWh_SF", CONST, 0, ""),
    (203, "TotVAhExp..TotVAhImpPhC", ZERO, 16, "VAh"),
    (203, "TotVAh_SF", ABSENT, 1, ""),
    (203, "TotVArhImpQ1..TotVArhExpQ4PhC", ZERO, 32, "varh"),
    (203, "TotVArh_SF", ABSENT, 1, ""),
    (203, "Evt", EVENTS, T_METER_IS_USABLE, ""),
    (64900, "ID", CONST, FIRMLINE_MODEL, ""),
    (64900, "L", CONST, 122, ""),
    (64900, "map_version", CONST, MAP_VERSION, ""),
    (64900, "mode", U16, T_MODE, ""),
    (64900, "stage", U16, T_STAGE, ""),
    (64900, "head_end", U16, T_HEAD_END, ""),
    (64900, "cause", I32, T_CAUSE, "bits"),
    (64900, "pcc_w", I32, T_PCC_W, "W"),
    (64900, "l1_w", I32, T_L1_W, "W"),
    (64900, "l2_w", I32, T_L1_W + 1, "W"),
    (64900, "l3_w", I32, T_L1_W + 2, "W"),
    (64900, "l1_ma", I32, T_L1_MA, "mA"),
    (64900, "l2_ma", I32, T_L1_MA + 1, "mA"),
    (64900, "l3_ma", I32, T_L1_MA + 2, "mA"),
    (64900, "in_force_import_w", I32, T_IN_FORCE_IMPORT_W, "W"),
    (64900, "in_force_export_w", I32, T_IN_FORCE_EXPORT_W, "W"),
    (64900, "in_force_ma", I32, T_IN_FORCE_MA, "mA"),
    (64900, "binding_import", U16, T_BINDING_IMPORT, ""),
    (64900, "binding_export", U16, T_BINDING_EXPORT, ""),
    (64900, "binding_conductor", U16, T_BINDING_CONDUCTOR, ""),
    (64900, "meter_is_usable", U16, T_METER_IS_USABLE, ""),
    (64900, "expires_in_s", I32, T_EXPIRES_IN_S, "s"),
    (64900, "meter_age_ms", I32, T_METER_AGE_MS, "ms"),
    (64900, "cycles", I32, T_CYCLES, ""),
    (64900, "late_cycles", I32, T_LATE_CYCLES, ""),
    (64900, "worst_cycle_us", I32, T_WORST_CYCLE_US, "us"),
    (64900, "uptime_s", I32, T_UPTIME_S, "s"),
    (64900, "fallbacks", I32, T_FALLBACKS, ""),
    (64900, "bus_errors", I32, T_BUS_ERRORS, ""),
    (64900, "heartbeat", U16, T_HEARTBEAT, ""),
    (64900, "dynamic_import_w", I32, T_DYNAMIC_IMPORT_W, "W"),
    (64900, "dynamic_export_w", I32, T_DYNAMIC_EXPORT_W, "W"),
    (64900, "dynamic_duration_s", U16, T_DYNAMIC_LEFT_S, "s"),
    (64900, "emergency_import_w", I32, T_EMERGENCY_IMPORT_W, "W"),
    (64900, "emergency_export_w", I32, T_EMERGENCY_EXPORT_W, "W"),
    (64900, "emergency_duration_s", U16, T_EMERGENCY_LEFT_S, "s"),
    (64900, "resources", U16, T_RESOURCES, ""),
    (64900, "r{}_command_w r{}_power_w", I32, T_RESOURCE_BASE, "W"),
    (65535, "ID", CONST, 65535, ""),
    (65535, "L", CONST, 0, ""),
)
REGISTERS = const(303)

# Writable: one request writes one of these whole, so that it is taken or refused as one.
HEARTBEAT = const(40225)  # 1 register, any value counts
DYNAMIC = const(40226)  # 5 registers: import_w, export_w, duration_s
EMERGENCY = const(40231)  # 5 registers, the same
_LIMITS = const(5)
_WRITABLE_END = const(40236)

_ILLEGAL_ADDRESS = const(2)
_ILLEGAL_VALUE = const(3)


def width(point):
    """Registers that a row of POINTS takes."""
    _, name, kind, source, extra = point
    if kind == TEXT:
        return extra
    if kind == ABSENT or kind == ZERO:
        return source
    if kind == I32:
        return 4 * MAX_RESOURCES if "{}" in name else 2
    return 2 if kind == EVENTS else 1


def scale_factor(largest, most=32767):
    """Smallest decimal exponent >= 0 that brings `largest` into an int16."""
    exponent = 0
    while largest > most:
        largest //= 10
        exponent += 1
    return exponent


class Registers:
    """`telemetry`: array('i') of TELEMETRY_SIZE, owned by the app. `site`: that part of the
    configuration; the service rating sets the scale factors, so that twice the rating fits.
    `unit`: the Modbus address. Texts: ASCII, cut to their field."""

    def __init__(self, telemetry, head_end, site, unit=1, model="PCS controller", serial=""):
        self._telemetry = telemetry
        self._head_end = head_end
        self._phases = site["phases"]
        largest_a = 2 * site["service_a"] * self._phases
        largest_w = largest_a * site["voltage_v"]
        self._amps_exponent = scale_factor(largest_a * 100) - 2  # centiamps and up
        self._watts_exponent = scale_factor(largest_w)
        self._amps_divisor = 10 ** (self._amps_exponent + 3)
        self._watts_divisor = 10**self._watts_exponent
        self._kind = bytearray(REGISTERS)
        self._source = bytearray(REGISTERS)
        self._image = array("H", [0] * REGISTERS)
        self._heartbeat = 0
        self._import_w = NONE  # what a write asks for, until it is taken or refused
        self._export_w = NONE
        self._duration_s = 0
        self._build(("Firmline", model, "", VERSION, serial), unit)
        self.publish()

    def _build(self, texts, unit):
        settings = (self._amps_exponent, -1, self._watts_exponent, unit)
        at = 0
        for point in POINTS:
            _, _, kind, source, _ = point
            count = width(point)
            for k in range(count):
                self._kind[at] = CONST
                if kind == CONST:
                    self._image[at] = source
                elif kind == ABSENT:
                    self._image[at] = _ABSENT_16
                elif kind == TEXT:
                    self._image[at] = _two_letters(texts[source], 2 * k)
                elif kind == SETTING:
                    self._image[at] = settings[source] & 0xFFFF
                elif kind == I32:
                    self._kind[at] = _LOW if k & 1 else _HIGH
                    self._source[at] = source + k // 2
                elif kind != ZERO and k == count - 1:  # the high word of EVENTS is 0
                    self._kind[at] = kind
                    self._source[at] = source
                at += 1
        if self._kind[at - 1] or at != REGISTERS:
            raise ValueError("register map of %d registers" % at)

    def publish(self):
        """Copy the head-end's values into the telemetry; every read does it first."""
        telemetry = self._telemetry
        head_end = self._head_end
        telemetry[T_HEAD_END] = head_end.state
        telemetry[T_HEARTBEAT] = self._heartbeat
        telemetry[T_DYNAMIC_IMPORT_W] = head_end.dynamic_import_w
        telemetry[T_DYNAMIC_EXPORT_W] = head_end.dynamic_export_w
        telemetry[T_DYNAMIC_LEFT_S] = (head_end.dynamic_left_ms + 999) // 1000
        telemetry[T_EMERGENCY_IMPORT_W] = head_end.emergency_import_w
        telemetry[T_EMERGENCY_EXPORT_W] = head_end.emergency_export_w
        telemetry[T_EMERGENCY_LEFT_S] = (head_end.emergency_left_ms + 999) // 1000

    def read(self, address, count, reply):
        """Registers address..address+count-1 into `reply.put(k, uint16)`; 0 or exception 2."""
        address -= BASE
        if address < 0 or count < 1 or address + count > REGISTERS:
            return _ILLEGAL_ADDRESS
        self.publish()
        k = 0
        while k < count:
            reply.put(k, self._word(address))
            address += 1
            k += 1
        return 0

    # Locals and the deepest expression of a function must fit 11 words: a larger frame is
    # allocated. Hence the small steps from here on.

    def _word(self, at):
        kind = self._kind[at]
        if kind == CONST:
            return self._image[at]
        if kind == _HIGH:
            return (self._telemetry[self._source[at]] >> 16) & 0xFFFF
        if kind == _LOW:
            return self._telemetry[self._source[at]] & 0xFFFF
        if kind == U16:
            return clamp(self._telemetry[self._source[at]], 0, 0xFFFF)
        if self._telemetry[T_METER_IS_USABLE]:
            return self._measured(kind, self._source[at])
        return _MISSING_SENSOR if kind == EVENTS else _ABSENT_16

    def _measured(self, kind, source):
        if kind == WATTS:
            return _int16(self._telemetry[source], self._watts_divisor)
        if kind == AMPS:
            return _int16(self._telemetry[source], self._amps_divisor)
        if kind == VOLTS:
            return _int16(self._telemetry[source], 1)
        if kind == AMPS_SUM:
            return _int16(self._sum(source), self._amps_divisor)
        if kind == VOLTS_MEAN:
            return _int16(self._sum(source), self._phases)
        return 0  # EVENTS

    def _sum(self, source):
        total = 0
        for k in range(3):
            total += clamp(self._telemetry[source + k], -_SUMMAND, _SUMMAND)
        return total

    def write(self, address, count, request):
        """uint16 values from `request.get(k)`; 0 or exception 2 (not writable), 3 (refused)."""
        if address == HEARTBEAT and count == 1:
            self._heartbeat = request.get(0)
            self._head_end.heartbeat(self._head_end.now_ms)
            return 0
        if count == _LIMITS and (address == DYNAMIC or address == EMERGENCY):
            self._import_w = _limit(request, 0)
            self._export_w = _limit(request, 2)
            self._duration_s = request.get(4)
            return self._set(address)
        if count < 1 or address < HEARTBEAT or address + count > _WRITABLE_END:
            return _ILLEGAL_ADDRESS
        return _ILLEGAL_VALUE  # a part of a block, or more than one

    def _set(self, address):
        head_end = self._head_end
        if address == DYNAMIC:
            return head_end.set_dynamic(
                self._import_w, self._export_w, self._duration_s, head_end.now_ms
            )
        return head_end.set_emergency(
            self._import_w, self._export_w, self._duration_s, head_end.now_ms
        )


def _limit(request, k):
    """The int32 at register k: 0..2**29-1, -1 (none), or -2 for all that cannot be a limit."""
    high = request.get(k)
    low = request.get(k + 1)
    if high < 0x2000:
        return (high << 16) | low
    return NONE if high == 0xFFFF and low == 0xFFFF else -2


def _int16(value, divisor):
    """value / divisor to the nearest, half up, inside int16, as its register."""
    return clamp((value + divisor // 2) // divisor, -32767, 32767) & 0xFFFF


def _two_letters(text, at):
    """Two ASCII letters as a register, 0 after the end of the text."""
    high = ord(text[at]) if at < len(text) else 0
    low = ord(text[at + 1]) if at + 1 < len(text) else 0
    return (high & 0x7F) << 8 | low & 0x7F
