# SPDX-License-Identifier: MIT
"""The table of the controller's own Modbus map: one row for each point, from which the server,
docs/registers.md and the host tools derive. It opens as a SunSpec device (common 1, meter 203)
and ends with a private Firmline model, so that any SunSpec client can read the PCC.

On a board it is imported while services.registers builds its image, and dropped afterwards: what
runs keeps private copies of the constants it needs (tests/arch/test_register_map.py compares).
"""

from firmline.core.units import const

BASE = const(40000)
FIRMLINE_MODEL = const(64900)  # vendor range, private, not registered with SunSpec
MAP_VERSION = const(2)
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
T_BOOT_COUNT = const(37)  # 37..45 are filled by services.tools
T_RESET_CAUSE = const(38)
T_IS_SERVICE = const(39)
T_CONFIG_GENERATION = const(40)
T_FILE_LENGTH = const(41)  # files 1..5 in a row
T_RESOURCE_BASE = const(46)  # + 2 * i: command W, + 1: power W
TELEMETRY_SIZE = const(78)

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

HIGH = const(13)  # not in the table but in the image: the halves of I32
LOW = const(14)
_ABSENT_16 = const(0x8000)

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
    (64900, "L", CONST, 138, ""),
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
    (64900, "boot_count", I32, T_BOOT_COUNT, ""),
    (64900, "reset_cause", U16, T_RESET_CAUSE, ""),
    (64900, "is_service", U16, T_IS_SERVICE, ""),
    (64900, "config_generation", I32, T_CONFIG_GENERATION, ""),
    (64900, "file1_length", U16, T_FILE_LENGTH, "B"),
    (64900, "file2_length", U16, T_FILE_LENGTH + 1, "B"),
    (64900, "file3_length", U16, T_FILE_LENGTH + 2, "B"),
    (64900, "file4_length", U16, T_FILE_LENGTH + 3, "B"),
    (64900, "file5_length", U16, T_FILE_LENGTH + 4, "B"),
    (64900, "commit_file", ZERO, 1, ""),
    (64900, "commit_length", ZERO, 1, "B"),
    (64900, "commit_crc32", ZERO, 2, ""),
    (64900, "restart", ZERO, 1, ""),
    (65535, "ID", CONST, 65535, ""),
    (65535, "L", CONST, 0, ""),
)
REGISTERS = const(319)

# Writable: one request writes one of these whole, so that it is taken or refused as one.
HEARTBEAT = const(40225)  # 1 register, any value counts
DYNAMIC = const(40226)  # 5 registers: import_w, export_w, duration_s
EMERGENCY = const(40231)  # 5 registers, the same
WRITABLE_END = const(40236)
FILE_LENGTH = const(40307)  # files 1..5
COMMIT = const(40312)  # 4 registers: file, length in bytes, CRC-32; services.tools
RESTART = const(40316)  # 1 register: 0x5AFE


def width(point):
    """Registers that a row of POINTS takes."""
    _, name, kind, source, extra = point
    if kind == TEXT:
        return int(extra)
    if kind == ABSENT or kind == ZERO:
        return int(source)
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


def scale_factors(site):
    """(amps, watts): powers of ten of model 203, from the service rating of the configuration's
    `site`, so that twice the rating fits."""
    largest_a = 2 * site["service_a"] * site["phases"]
    centiamps = scale_factor(largest_a * 100)
    return centiamps - 2, scale_factor(largest_a * site["voltage_v"])


def fill(kinds, sources, image, texts, settings):
    """The table as registers: for each its kind (HIGH and LOW are the halves of I32), its
    telemetry index, and what it holds where that never changes."""
    at = 0
    for point in POINTS:
        _, _, kind, source, _ = point
        count = width(point)
        for k in range(count):
            kinds[at] = CONST
            if kind == CONST:
                image[at] = source
            elif kind == ABSENT:
                image[at] = _ABSENT_16
            elif kind == TEXT:
                image[at] = _two_letters(texts[source], 2 * k)
            elif kind == SETTING:
                image[at] = settings[source] & 0xFFFF
            elif kind == I32:
                kinds[at] = LOW if k & 1 else HIGH
                sources[at] = source + k // 2
            elif kind != ZERO and k == count - 1:  # the high word of EVENTS is 0
                kinds[at] = kind
                sources[at] = source
            at += 1
    if kinds[at - 1] or at != REGISTERS:
        raise ValueError("register map of %d registers" % at)


def _two_letters(text, at):
    """Two ASCII letters as a register, 0 after the end of the text."""
    high = ord(text[at]) if at < len(text) else 0
    low = ord(text[at + 1]) if at + 1 < len(text) else 0
    return (high & 0x7F) << 8 | low & 0x7F
