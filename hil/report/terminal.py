# SPDX-License-Identifier: MIT
"""What a run says on a terminal: plain text, no colours, narrow enough for 80 columns."""

from hil.report.result import tolerance_text

_HEAD = ("check", "for", "metric", "limit", "measured", "verdict")
_QUANTITIES = (("import", "W"), ("export", "W"), ("current", "A"))
_TIMES = (
    ("response_s", "back inside"),
    ("command_s", "last command on wire"),
    ("fallback_s", "meter loss: fallback"),
    ("head_end_loss_s", "head-end loss: firm"),
)


def _number(value):
    if value is None:
        return "-"
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def checks_table(checks):
    if not checks:
        return "no checks: the scenario has no [[expect]]"
    rows = [_HEAD]
    for check in checks:
        unit = f" {check['unit']}" if check["unit"] else ""
        sense = "<=" if check.get("sense", "max") == "max" else ">="
        limit = f"{sense} {_number(check['limit'])}{unit}"
        measured = "nothing" if check["measured"] is None else _number(check["measured"]) + unit
        name = check.get("metric", "")
        rows.append((check["id"], check["requirement"], name, limit, measured, check["verdict"]))
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEAD))]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join(_columns(rows, widths))


def figures(result):
    """The measurements that a reader asks for first."""
    m = result.metrics
    rows = [("tolerance", tolerance_text(result.tolerance))]
    for name, unit in _QUANTITIES:
        longest_s, peak = m[f"{name}_longest_excursion_s"], m[f"{name}_peak_over_{unit.lower()}"]
        rows.append((name, excursions_text(m[f"{name}_excursions"], longest_s, peak, unit)))
    for key, text in _TIMES:
        spread = m.get(key)
        if spread and spread["count"]:
            rows.append((text, f"{spread['max']:.3f} s at most ({spread['count']} x)"))
    if m["headroom_used"] is not None:
        percent = f"{100 * m['headroom_used']:.1f} %"
        rows.append(("headroom", f"{percent} of what vehicles could have had"))
    if m["evse_charging_max"]:
        low_kwh, high_kwh = m["evse_energy_min_wh"] / 1000, m["evse_energy_max_wh"] / 1000
        text = f"{m['evse_charging_max']} at once, {low_kwh:.1f} to {high_kwh:.1f} kWh each"
        rows.append(("vehicles", f"{text}; fairness {m['evse_fairness']:.3f} of 1"))
    return "\n".join(_columns(rows, (max(len(row[0]) for row in rows), 0)))


def excursions_text(count, longest_s, peak, unit):
    """How often, how long and how far the truth was past limit and tolerance."""
    if not count:
        return "never past the limit"
    if unit == "W" and peak >= 1000:
        peak, unit = peak / 1000, "kW"
    lasts = "for" if count == 1 else "longest"
    return f"{count} x past the limit, {lasts} {longest_s:.3f} s, peak {peak:.4g} {unit} over"


def verdict_line(result):
    """The verdict, and why it is none."""
    if result.verdict != "INCONCLUSIVE":
        return result.verdict
    if not result.checks:
        return "INCONCLUSIVE: nothing was judged"
    late_ms = result.metrics.get("host_late_ms", 0)
    return f"INCONCLUSIVE: this host was late by up to {late_ms:.0f} ms; repeat it"


def _columns(rows, widths):
    for row in rows:
        yield "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
