# SPDX-License-Identifier: MIT
"""What a controller does now, as one plain dict that status, monitor and report share.

Power in W, + imports or consumes; currents in A; None where the controller has no value.
"""

import json

from firmline.services.config_fields import TYPE_ROLES
from host_tools import names, register_map

_RESOURCE_ROLES = ("evse", "battery", "pv", "relay")
_COUNTERS = ("uptime_s", "cycles", "late_cycles", "worst_cycle_us", "fallbacks", "bus_errors")


def resources_of(config_text):
    """[(name, role)] in the controller's order, from its configuration; [] if that is unknown."""
    try:
        devices = json.loads(config_text)["devices"]
        pairs = [(device["name"], TYPE_ROLES.get(device["type"], "")) for device in devices]
    except (ValueError, KeyError, TypeError):
        return []
    return [(name, role) for name, role in pairs if role in _RESOURCE_ROLES]


def phases_of(config_text):
    """1, 2 or 3, from the configuration; 3 if that is unknown."""
    try:
        return int(json.loads(config_text)["site"]["phases"])
    except (ValueError, KeyError, TypeError):
        return 3


def take(device, config_text):
    """Read the controller once; where it is in safe mode, with the cause that it recorded."""
    now = of_points(device.points(), config_text)
    return now | {"cause": device.cause()} if now["mode"] == "safe" else now


def of_points(points, config_text):
    """The dict from the raw points of the Firmline model."""
    phases = phases_of(config_text)
    is_usable = bool(points["meter_is_usable"])
    return {
        "mode": names.of(names.MODES, points["mode"]),
        "stage": names.of(names.STAGES, points["stage"]),
        "head_end": names.of(names.HEAD_END, points["head_end"]),
        "causes": names.causes(points["cause"]),
        "pcc": {
            "w": points["pcc_w"] if is_usable else None,
            "l_w": [points[f"l{k}_w"] if is_usable else None for k in range(1, phases + 1)],
            "l_a": [
                points[f"l{k}_ma"] / 1000 if is_usable else None for k in range(1, phases + 1)
            ],
            "is_usable": is_usable,
            "age_ms": points["meter_age_ms"] if is_usable else None,
        },
        "limits": _limits(points),
        "dynamic": _given(points, "dynamic"),
        "emergency": _given(points, "emergency"),
        "resources": _resources(points, resources_of(config_text)),
        "counters": {name: points[name] for name in _COUNTERS if name in points},
    }


def _limits(points):
    return {
        "import_w": points["in_force_import_w"],
        "export_w": points["in_force_export_w"],
        "conductor_a": points["in_force_ma"] / 1000,
        "binding_import": names.of(names.SOURCES, points["binding_import"]),
        "binding_export": names.of(names.SOURCES, points["binding_export"]),
        "binding_conductor": names.of(names.SOURCES, points["binding_conductor"]),
        "expires_in_s": points["expires_in_s"] or None,
    }


def _given(points, which):
    """What the head-end asked for, or None."""
    left_s = points[f"{which}_duration_s"]
    limits = {key: points[f"{which}_{key}"] for key in ("import_w", "export_w")}
    if not left_s or max(limits.values()) < 0:
        return None
    return {key: None if w < 0 else w for key, w in limits.items()} | {"left_s": left_s}


def _resources(points, known):
    rows = []
    for k in range(min(points["resources"], register_map.MAX_RESOURCES)):
        name, role = known[k] if k < len(known) else (f"resource {k + 1}", "")
        rows.append(
            {
                "name": name,
                "role": role,
                "command_w": points[f"r{k + 1}_command_w"],
                "power_w": points[f"r{k + 1}_power_w"],
            }
        )
    return rows


# --- in words ---


def watts(value):
    """-1 234 W; a dash for None."""
    return "-" if value is None else f"{value:,} W".replace(",", " ")


def lasting(seconds):
    """1 h 02 min, 3 min 05 s, 12 s."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def limit_text(reading, side):
    """Import or export limit in force, which one binds, and until when."""
    limits = reading["limits"]
    source = limits[f"binding_{side}"]
    given = reading[source] if source in ("dynamic", "emergency") else None
    left = f", {lasting(given['left_s'])} left" if given else ""
    return f"{watts(limits[side + '_w'])} ({source}{left})"


def rows(reading):
    """[(what, value)] of everything but the resources."""
    pcc, limits, counters = reading["pcc"], reading["limits"], reading["counters"]
    amps = ", ".join("-" if a is None else f"{a:.1f} A" for a in pcc["l_a"])
    why = f" ({', '.join(reading['causes'])})" if reading["causes"] else ""
    age = f"sample {pcc['age_ms']} ms old" if pcc["is_usable"] else "no usable sample"
    conductor = f"{limits['conductor_a']:g} A ({limits['binding_conductor']})"
    cause = [("cause", reading["cause"])] if reading.get("cause") else []
    return [
        ("mode", f"{reading['mode']}, escalation {reading['stage']}{why}"),
        ("PCC", f"{watts(pcc['w'])}, {age}"),
        ("conductors", f"{amps}; limit {conductor}"),
        ("import limit", limit_text(reading, "import")),
        ("export limit", limit_text(reading, "export")),
        ("head-end", head_end_text(reading)),
        ("since start", _counter_text(counters)),
        *cause,
    ]


def head_end_text(reading):
    """Whether it is alive, and the limits it has set."""
    text = {"never": "never heard since start"}.get(reading["head_end"], reading["head_end"])
    for which in ("dynamic", "emergency"):
        given = reading[which]
        if given:
            text += f"; {which}: import {watts(given['import_w'])}, "
            text += f"export {watts(given['export_w'])}, {lasting(given['left_s'])} left"
    return text


def _counter_text(counters):
    text = f"{lasting(counters['uptime_s'])}; {counters['cycles']} cycles, "
    text += f"{counters['late_cycles']} late, worst {counters['worst_cycle_us'] / 1000:.1f} ms; "
    return text + f"{counters['fallbacks']} fallbacks, {counters['bus_errors']} bus errors"
