# SPDX-License-Identifier: MIT
"""What a run says on a terminal: plain text, no colours, narrow enough for 80 columns."""

from hil.report.result import tolerance_text

_HEAD = ("check", "for", "metric", "limit", "measured", "verdict")


def _number(value):
    if value is None:
        return "-"
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def checks_table(checks):
    rows = [_HEAD]
    for check in checks:
        unit = f" {check['unit']}" if check["unit"] else ""
        sense = "<=" if check.get("sense", "max") == "max" else ">="
        limit = f"{sense} {_number(check['limit'])}{unit}"
        measured = _number(check["measured"]) + unit
        name = check.get("metric", "")
        rows.append((check["id"], check["requirement"], name, limit, measured, check["verdict"]))
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(line.rstrip() for line in lines)


def figures(result):
    """The measurements that a reader asks for first."""
    m = result.metrics
    lines = [f"tolerance: {tolerance_text(result.tolerance)}"]
    for name, unit in (("import", "W"), ("export", "W"), ("current", "A")):
        count = m[f"{name}_excursions"]
        if count:
            peak = m[f"{name}_peak_over_{unit.lower()}"]
            lines.append(
                f"{name}: {count} x above the limit, longest "
                f"{m[f'{name}_longest_excursion_s']:.3f} s, peak {peak:g} {unit} over"
            )
        else:
            lines.append(f"{name}: never above the limit")
    for key, text in _TIMES:
        spread = m.get(key)
        if spread and spread["count"]:
            lines.append(f"{text}: {spread['max']:.3f} s at most ({spread['count']} x)")
    if m["headroom_used"] is not None:
        lines.append(f"headroom: {100 * m['headroom_used']:.1f} % of the usable energy was used")
    if m["evse_charging_max"]:
        lines.append(
            f"vehicles: {m['evse_charging_max']} at once, {m['evse_energy_min_wh']:.0f} to "
            f"{m['evse_energy_max_wh']:.0f} Wh each, fairness {m['evse_fairness']:.3f} (1 = equal)"
        )
    return "\n".join(lines)


_TIMES = (
    ("response_s", "back inside the limit"),
    ("command_s", "last tightening command on the wire"),
    ("fallback_s", "meter lost: every load at its fallback value"),
    ("head_end_loss_s", "head-end silent: limit in force is firm"),
)
