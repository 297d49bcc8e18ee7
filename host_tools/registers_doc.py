# SPDX-License-Identifier: MIT
"""Prints docs/registers.md from the register table of the firmware (a test compares the two).

python host_tools/registers_doc.py > docs/registers.md
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "firmware")]

from firmline.services import headend, register_map  # noqa: E402
from host_tools import names  # noqa: E402

_INTRO = """\
# Register map

<!-- Made by host_tools/registers_doc.py from firmware/firmline/services/register_map.py. -->

Modbus RTU, TCP and ASCII ([tools-protocol](tools-protocol.md)). Addresses are PDU addresses, as on
the wire; a tool that counts from 1 adds one. Functions 3 and 4 read the same {count} registers,
{base} to {last}, any window of up to 125.
The map opens as a SunSpec device (models 1 and 203) and ends with the Firmline model {firmline}:
a private number in the vendor range, **not registered** with the SunSpec Alliance. Find it by
walking the models rather than by its address.

- `int32` and `uint32` take two registers, high word first. Read both in one request: each
  request sees one consistent state.
- Power and current at the PCC are positive when the site imports. A device's power is positive
  when it consumes.
- Model 203 is given in three-conductor form for every site; conductors a site does not have
  read 0. Points the controller does not measure read 0x8000 (not implemented) and energies 0
  (not accumulated).
- Its scale factors are fixed at start so that twice the service rating fits into an int16, and
  values beyond an int16 stop at 32767 or -32767.
- While the PCC sample is lost, or before the first one, every measured point of model 203 reads
  0x8000 and bit 7 of `Evt` (missing sensor) is set. The Firmline model keeps the last values,
  with `meter_is_usable` and `meter_age_ms` beside them.

## Writing

| address | registers | what |
|---|---|---|
| {heartbeat} | 1 | heartbeat |
| {dynamic} | 5 | dynamic limits: import, export, duration |
| {emergency} | 5 | emergency limits: import, export, duration |
| {commit} | 4 | commit of a staged file: file, length in bytes, CRC-32 |
| {restart} | 1 | restart |

Each of these is written whole, by one request (function 16; the heartbeat also by function 6),
and taken or refused as one. Exception 2: not writable. Exception 3: a part of a block, more than
one block, a value out of range, or not allowed now. Exception 1: the installer lock. A refused
write changes nothing. A broadcast is never accepted.

- **Heartbeat**: any value, also the same one again. Limits are refused until it has come and
  again when it is older than `head_end.timeout_s`.
- **Dynamic limits**: 0 to 536870911 W, or -1 for none; duration 1 to {duration} s. A write
  replaces both limits. They end with their duration; write them again before that.
  When the heartbeat is lost, a limit looser than the firm limit is dropped at once and has to be
  written again after the heartbeat is back; a stricter one stays until its duration ends.
- **Emergency limits**: the same values, but they only tighten. While one is in force, a looser
  value (or -1 in its place) is refused and the later of the two expiries counts. They stay
  through a lost heartbeat.
- The registers read back what is in force; a duration reads as the seconds that are left,
  rounded up, 0 when there is no limit.

- **Commit and restart**: see [tools-protocol](tools-protocol.md).

A dynamic limit may lie above the firm limit only while the heartbeat is alive, and never above
the setting ceiling of the [configuration](configuration.md).
"""

_TYPES = {
    register_map.CONST: "uint16",
    register_map.ABSENT: "0x8000",
    register_map.ZERO: "0",
    register_map.TEXT: "string",
    register_map.SETTING: "int16",
    register_map.U16: "uint16",
    register_map.I32: "int32",
    register_map.AMPS: "int16 x A_SF",
    register_map.VOLTS: "int16 x V_SF",
    register_map.WATTS: "int16 x W_SF",
    register_map.AMPS_SUM: "int16 x A_SF",
    register_map.VOLTS_MEAN: "int16 x V_SF",
    register_map.EVENTS: "bitfield32",
}
_MODELS = {
    0: "SunSpec marker",
    1: "Model 1: common",
    203: "Model 203: meter, three-phase wye",
    register_map.FIRMLINE_MODEL: f"Model {register_map.FIRMLINE_MODEL}: Firmline (private)",
    0xFFFF: "End model",
}


def _codes(pairs):
    return ", ".join(f"{code} {name}" for code, name in pairs)


MEANINGS = {
    "SunS": "0x5375, `Su`",
    "SunS_low": "0x6E53, `nS`",
    "ID": "model identifier",
    "L": "registers that follow in this model",
    "Mn": "manufacturer: Firmline",
    "Md": "model of the board",
    "Opt": "options: empty",
    "Vr": "firmware version",
    "SN": "serial number",
    "DA": "Modbus unit address",
    "Pad": "padding",
    "A": "current, sum of the conductors",
    "AphA": "current L1",
    "AphB": "current L2",
    "AphC": "current L3",
    "A_SF": "power of ten, fixed at start: -2 to 0",
    "PhV": "voltage to neutral, mean of the site's conductors",
    "PhVphA": "voltage L1 to neutral",
    "PhVphB": "voltage L2 to neutral",
    "PhVphC": "voltage L3 to neutral",
    "V_SF": "power of ten: -1",
    "W": "power at the PCC, + imports",
    "WphA": "power L1",
    "WphB": "power L2",
    "WphC": "power L3",
    "W_SF": "power of ten, fixed at start: 0 to 3",
    "TotWh_SF": "0",
    "Evt": "bit 7: missing sensor",
    "map_version": "version of this model; it changes when a point moves",
    "mode": _codes(names.MODES.items()),
    "stage": "escalation: " + _codes(names.STAGES.items()),
    "head_end": "heartbeat: " + _codes(names.HEAD_END.items()),
    "cause": "why the guard changed a command, bits: " + _codes(names.CAUSES.items()),
    "pcc_w": "power at the PCC, last sample",
    "l1_w": "power L1",
    "l2_w": "power L2",
    "l3_w": "power L3",
    "l1_ma": "current L1",
    "l2_ma": "current L2",
    "l3_ma": "current L3",
    "in_force_import_w": "import limit in force",
    "in_force_export_w": "export limit in force, >= 0",
    "in_force_ma": "limit in force for each conductor",
    "binding_import": "which limit is the import limit: " + _codes(names.SOURCES.items()),
    "binding_export": "which limit is the export limit, same codes",
    "binding_conductor": "which limit is the conductors' limit, same codes",
    "meter_is_usable": "1: the sample is fresh or late; 0: lost or none yet",
    "expires_in_s": "until the binding import limit ends (else the export one); 0: it does not",
    "meter_age_ms": "age of the PCC sample; 536870911 when lost",
    "cycles": "control cycles since start",
    "late_cycles": "of these, later than two ticks",
    "worst_cycle_us": "longest control cycle",
    "uptime_s": "time since start",
    "fallbacks": "times the controller went into fallback",
    "bus_errors": "requests to devices that failed",
    "heartbeat": "last value written",
    "dynamic_import_w": "dynamic import limit, -1: none",
    "dynamic_export_w": "dynamic export limit, -1: none",
    "dynamic_duration_s": "1 to 3600; reads as time left",
    "emergency_import_w": "emergency import limit, -1: none",
    "emergency_export_w": "emergency export limit, -1: none",
    "emergency_duration_s": "1 to 3600; reads as time left",
    "resources": "number of flexible resources; the first 16 are below",
    "boot_count": "starts since the counters were made; 0: not kept",
    "reset_cause": "why it started: "
    + _codes(enumerate(("unknown", "power", "watchdog", "soft", "brown-out", "pin"))),
    "is_service": "1: the service jumper is fitted",
    "config_generation": "of the configuration in force; 0: copied by hand as config.json",
    "file1_length": "configuration in force",
    "file2_length": "what is staged for a commit",
    "file3_length": "event log",
    "file4_length": "commissioning record",
    "file5_length": "identity",
    "commit_file": "2 configuration, 4 commissioning record; reads 0",
    "commit_length": "reads 0",
    "commit_crc32": "of the staged bytes; reads 0",
    "restart": "0x5AFE: outputs safe, then restart; reads 0",
    "r{}_command_w r{}_power_w": "command to resource {}, measured power of resource {}",
}


def rows():
    """(model, address, registers, name, type, unit, is writable, meaning) of every point."""
    at = register_map.BASE
    for point in register_map.POINTS:
        model, name, kind, _, unit = point
        width = register_map.width(point)
        meaning = MEANINGS.get(name, "not implemented" if kind == register_map.ABSENT else None)
        if kind == register_map.ZERO and meaning is None:
            meaning = "not accumulated"
        if kind == register_map.TEXT:
            unit = ""
        is_writable = register_map.HEARTBEAT <= at < register_map.EMERGENCY + 5
        is_writable = is_writable or register_map.COMMIT <= at <= register_map.RESTART
        if "{}" not in name:
            yield model, at, width, name, _TYPES[kind], unit, is_writable, meaning
        else:
            for k in range(width // 2):
                one = name.split()[k % 2].format(k // 2 + 1)
                what = meaning.split(", ")[k % 2].format(k // 2 + 1)
                yield model, at + 2 * k, 2, one, _TYPES[kind], unit, False, what
        at += width


def markdown():
    lines = [
        _INTRO.format(
            base=register_map.BASE,
            last=register_map.BASE + register_map.REGISTERS - 1,
            count=register_map.REGISTERS,
            firmline=register_map.FIRMLINE_MODEL,
            heartbeat=register_map.HEARTBEAT,
            dynamic=register_map.DYNAMIC,
            emergency=register_map.EMERGENCY,
            commit=register_map.COMMIT,
            restart=register_map.RESTART,
            duration=headend.MAX_DURATION_S,
        )
    ]
    seen = None
    for model, at, width, name, kind, unit, is_writable, meaning in rows():
        if model != seen:
            lines += ["" if seen is not None else None, f"## {_MODELS[model]}", ""]
            lines += ["| address | registers | point | type | unit | access | |"]
            lines += ["|---|---|---|---|---|---|---|"]
            seen = model
        access = "RW" if is_writable else "R"
        kind = kind if kind != "0" or not is_writable else f"uint{16 * width}"
        lines.append(f"| {at} | {width} | `{name}` | {kind} | {unit} | {access} | {meaning} |")
    return "\n".join(line for line in lines if line is not None) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
