# SPDX-License-Identifier: MIT
"""The plots of a report: truth at the PCC against the limit in force, devices, modes, close-ups.

Truth is what the verdicts are made from. What the controller believed is drawn only where it helps
to see why: dotted, in the close-ups.
"""

from hil.report import decimate, svg
from hil.report.result import devices
from hil.report.svg import LEFT, RIGHT, WIDTH, Frame

_LANES = 4  # rows of event labels above the overview
_LANE_LETTER = 5.5  # width of a letter there
_BEFORE_S = 5.0
_CLOSE_UPS = 6
_SIDES = {"import": 1, "export": -1}
_STEPS = ("limit_import_w", "limit_export_w")


def exceedances(result):
    """[(from s, to s, worst W past limit and tolerance, "import" or "export")] of the truth.

    The oracle's own, to the microsecond, where the run brought them; else as the trace shows them.
    """
    told = [event for event in result.events if event["kind"] == "excursion"]
    if not told:
        return _traced(result.trace, result.tolerance)
    found = []
    for event in told:
        side = event["text"].split()[0]
        if side in _SIDES and event.get("to_s") is not None:
            found.append((event["t_s"], event["to_s"], event.get("peak") or 0, side))
    return sorted(found)


def _traced(trace, tolerance):
    t_s = trace["t_s"]
    found = []
    for side, sign in _SIDES.items():
        limits = trace.get(f"limit_{side}_w")
        if limits is None:
            continue
        powers = trace["pcc_w"] if sign > 0 else [_minus(w) for w in trace["pcc_w"]]
        over = [_over(w, limit, tolerance) for w, limit in zip(powers, limits, strict=True)]
        for first, last in decimate.spells([w > 0 for w in over]):
            end_s = t_s[min(last + 1, len(t_s) - 1)]  # a sample stands until the next one
            found.append((t_s[first], end_s, max(over[first : last + 1]), side))
    return sorted(found)


def _over(power, limit, tolerance):
    """Watts past the limit and its tolerance; not positive when inside or unknown."""
    if power is None or limit is None:
        return 0
    allowed = max(tolerance["floor_w"], abs(limit) * tolerance["reading_permille"] / 1000)
    return power - limit - allowed


def overview(result, columns):
    """Plot (a): truth at the PCC, the band the limits in force leave, exceedances, events."""
    trace = result.trace
    t_s = trace["t_s"]
    lanes, lane_rows = _event_lanes(result)
    top = 20 + 17 * lane_rows
    height = 300
    low, high = _range([trace["pcc_w"]], _limits(trace))
    frame = _frame(t_s, (top, height), (low, high), columns)
    parts = [_permitted(frame, trace)]
    parts += [frame.time_axis(), frame.value_axis(svg.unit_of(low, high)[0])]
    parts += _bands(frame, result.events)
    parts += _over_spans(frame, exceedances(result))
    parts += [frame.line(trace["pcc_w"], "truth")]
    parts += _limit_lines(frame, trace)
    parts += [lanes, _unit_label(frame, low, high)]
    return svg.drawing(WIDTH, top + height + 24, "".join(parts), "Power at the PCC over time")


def _over_spans(frame, spells):
    """A red band for each exceedance; those closer than the plot can tell apart become one."""
    nearest_s = (frame.x.hi - frame.x.lo) / frame.columns
    joined = []
    for from_s, to_s, peak_w, side in spells:
        if to_s < frame.x.lo or from_s > frame.x.hi:
            continue
        words = f"{side} {peak_w:.0f} W above the limit from {from_s:.3f} to {to_s:.3f} s"
        if joined and from_s - joined[-1][1] < nearest_s:
            first_s, end_s, _ = joined[-1]
            joined[-1] = (first_s, max(end_s, to_s), f"several from {first_s:.3f} s on")
        else:
            joined.append((from_s, to_s, words))
    return [frame.span(from_s, to_s, "over", words) for from_s, to_s, words in joined]


def conductors(result, columns):
    """Power of each conductor, where there is more than one or a limit for them."""
    trace = result.trace
    names = [name for name in ("l1_w", "l2_w", "l3_w") if name in trace]
    limit = trace.get("limit_conductor_w")
    names = [name for name in names if any(trace[name])]
    if len(names) < 2 and limit is None:
        return ""
    low, high = _range([trace[name] for name in names], [limit] if limit else [])
    frame = _frame(trace["t_s"], (20, 168), (low, high), columns)
    parts = [frame.time_axis(), frame.value_axis(svg.unit_of(low, high)[0], 4)]
    parts += [frame.line(trace[name], f"line {name[:2]}") for name in names]
    if limit:
        parts.append(frame.line(limit, "limit", is_step=True))
        if low < 0:
            parts.append(frame.line([_minus(w) for w in limit], "limit", is_step=True))
    parts.append(_unit_label(frame, low, high))
    for k, name in enumerate(names):
        x = frame.left + frame.width + 10
        parts.append(svg.text(x, 24 + 16 * k, name[:2].upper(), f"key {name[:2]}"))
    return svg.drawing(WIDTH, 208, "".join(parts), "Power of each conductor over time")


def resources(result, columns):
    """Plots (b) and (c): one row a device, its power and its command; then mode and stage."""
    trace = result.trace
    rows = [(name, trace[f"{name}_w"], trace[f"{name}_command_w"]) for name in devices(trace)]
    drawn = [values for _, values, _ in rows]
    for name, column in (("sun", "pv_w"), ("uncontrolled load", "load_w")):
        if any(trace.get(column) or ()) and trace[column] not in drawn:
            rows.insert(0, (name, trace[column], None))
    tall = 54 if len(rows) <= 8 else 32 if len(rows) <= 20 else 22
    parts, top = [], 6
    for name, values, command in rows:
        parts.append(_row(trace["t_s"], (top, tall), name, values, command, columns))
        top += tall + 10
    strips = [name for name in ("mode", "stage") if name in trace]
    for name in strips:
        frame = _frame(trace["t_s"], (top, 18), (0, 1), columns)
        parts.append(svg.text(LEFT - 8, top + 13, name, "row-name", "end"))
        parts.append(svg.strip(frame, trace[name], getattr(result, name + "s"), name))
        top += 24
    body = _frame(trace["t_s"], (6, top - 12), (0, 1), columns)
    axis = body.time_axis()
    return svg.drawing(
        WIDTH, top + 18, axis + "".join(parts), "Devices, modes and stages over time"
    )


def _row(t_s, span, name, values, command, columns):
    low, high = _range([values] + ([command] if command else []), [])
    frame = _frame(t_s, span, (low, high), columns)
    zero = svg.coordinate(frame.y(0))
    parts = [f'<path class="zero" d="M{frame.left} {zero}h{frame.width}"/>']
    parts.append(frame.area(values, "power"))
    if command:
        parts.append(frame.line(command, "command", is_step=True))
    unit_w, unit = svg.unit_of(low, high)
    middle = frame.top + frame.height / 2 + 4
    parts.append(svg.text(LEFT - 8, middle, name, "row-name", "end"))
    known = [w for w in values if w is not None]
    extreme = max(known, key=abs, default=0)
    said = f"{svg.signed(extreme / unit_w, '.3g')} {unit}"
    parts.append(svg.text(frame.left + frame.width + 8, middle, said, "tick"))
    return "".join(parts)


def close_ups(result):
    """[(title, svg)]: the moments a reader will ask for, at the full resolution of the trace."""
    drawn = []
    for at_s, length_s, title in sorted(_moments(result)):
        if title.split()[0].isalpha():
            title = title[:1].upper() + title[1:]
        title = f"{title}, at {svg.clock(at_s, result.duration_s)}"
        drawn.append((title, _close_up(result, at_s - _BEFORE_S, at_s + length_s, title)))
    return drawn


def _moments(result):
    """(time, seconds to show, title), worst first; no two of them show the same."""
    trace = result.trace
    t_s = trace["t_s"]
    step_s = (t_s[-1] - t_s[0]) / max(len(t_s) - 1, 1)
    usual_s = max(25.0, 40 * step_s)
    wanted = []
    for side in _SIDES:
        ours = [spell for spell in exceedances(result) if spell[3] == side]
        if ours:
            longest = max(ours, key=lambda spell: spell[1] - spell[0])
            highest = max(ours, key=lambda spell: spell[2])
            for word, (from_s, to_s, peak_w, _) in (("longest", longest), ("highest", highest)):
                lasts_s = to_s - from_s
                title = f"{word} {side} excursion: {lasts_s:.3g} s, up to {peak_w:.0f} W over"
                wanted.append((from_s, max(usual_s, 1.5 * lasts_s), title))
    for event in result.events:
        if event["kind"] == "fault" and event.get("until_s") is not None:
            wanted.append((event["t_s"], usual_s, event["text"]))
    for name, word in zip(_STEPS, ("import", "export"), strict=True):
        at = _largest_change(trace.get(name), -1)
        if at:
            wanted.append((t_s[at], usual_s, f"{word} limit in force falls"))
    for name, word in (("load_w", "largest load step"), ("pv_w", "largest step of the sun")):
        at = _largest_change(trace.get(name), 1)
        largest_w = max((abs(w) for w in trace["pcc_w"] if w is not None), default=0)
        if at and trace[name][at] - trace[name][at - 1] > 0.05 * largest_w:
            wanted.append((t_s[at], usual_s, word))
    chosen = []
    for moment in wanted:
        if all(abs(moment[0] - other[0]) > 10 for other in chosen):
            chosen.append(moment)
    return chosen[:_CLOSE_UPS]


def _largest_change(values, sign):
    """Index of the sample after the largest change in that direction, or None."""
    if not values:
        return None
    changes = [
        0 if a is None or b is None else sign * (b - a)
        for a, b in zip(values, values[1:], strict=False)
    ]
    largest = max(changes, default=0)
    return changes.index(largest) + 1 if largest > 0 else None


def _close_up(result, from_s, to_s, title):
    trace = result.trace
    t_s = trace["t_s"]
    from_s = max(from_s, t_s[0])
    to_s = min(to_s, t_s[-1])
    found = decimate.edges(t_s, from_s, to_s, 1)
    start, stop = max(found[0] - 1, 0), min(found[1] + 1, len(t_s))
    part = {name: values[start:stop] for name, values in trace.items()}
    meter = part.get("meter_w")
    low, high = _range([part["pcc_w"]] + ([meter] if meter else []), _limits(part))
    box = (46, 20, 446, 184)
    frame = Frame(part["t_s"], from_s, to_s, box, low, high, 400)
    parts = [_permitted(frame, part), frame.time_axis()]
    parts += [frame.value_axis(svg.unit_of(low, high)[0], 4)]
    parts += _bands(frame, result.events)
    parts += _over_spans(frame, exceedances(result))
    if meter:
        parts.append(frame.line(meter, "meter", is_step=True))
    parts.append(frame.line(part["pcc_w"], "truth"))
    parts += _limit_lines(frame, part)
    parts.append(_unit_label(frame, low, high))
    return svg.drawing(500, 224, "".join(parts), title)


def _frame(t_s, span, values, columns):
    box = (LEFT, span[0], WIDTH - LEFT - RIGHT, span[1])
    return Frame(t_s, t_s[0], max(t_s[-1], t_s[0] + 1e-3), box, *values, columns)


def _limits(trace):
    """Import limit and the negative of the export limit, where there are any."""
    found = []
    if "limit_import_w" in trace:
        found.append(trace["limit_import_w"])
    if "limit_export_w" in trace:
        found.append([_minus(w) for w in trace["limit_export_w"]])
    return found


def _minus(value):
    return None if value is None else -value


def _range(series, limits):
    """The values to show: all of the data, and the limits unless they are far away."""
    known = [w for values in series for w in values if w is not None] or [0]
    low, high = min(min(known), 0), max(max(known), 0)
    reach = 3 * max(high, -low, 100)
    near = [w for values in limits for w in values if w is not None and abs(w) <= reach]
    low, high = min([low, *near]), max([high, *near])
    room = 0.06 * ((high - low) or 1)
    return (low - room if low < 0 else low), high + room


def _permitted(frame, trace):
    """The band between both limits; a side without a limit is open to the edge."""
    if not any(name in trace for name in _STEPS):
        return ""
    count = len(trace["t_s"])
    top = trace.get("limit_import_w") or [None] * count
    bottom = trace.get("limit_export_w") or [None] * count
    high = [frame.y.hi if w is None else w for w in top]
    low = [frame.y.lo if w is None else -w for w in bottom]
    return frame.between(low, high, "permitted")


def _limit_lines(frame, trace):
    """Both limits; one that lies outside the plot all the time is left out."""
    parts = []
    for values in _limits(trace):
        shown = [w if w is not None and frame.y.lo <= w <= frame.y.hi else None for w in values]
        parts.append(frame.line(shown, "limit", is_step=True))
    return parts


def _bands(frame, events):
    """Every event that lasts, where it is inside the frame."""
    return [
        frame.span(event["t_s"], event["until_s"], f"band {_css(event)}", event["text"])
        for event in events
        if _is_band(event) and event["t_s"] < frame.x.hi and event["until_s"] > frame.x.lo
    ]


def _is_band(event):
    return event.get("until_s") is not None and event["kind"] in ("fault", "silent", "grant")


def _css(event):
    return "".join(c for c in event["kind"] if c.isalnum())


def _event_lanes(result):
    """Labels of bands and ticks above the overview, in as many rows as they need, up to four."""
    t_s = result.trace["t_s"]
    x = svg.Scale(t_s[0], max(t_s[-1], t_s[0] + 1e-3), LEFT, WIDTH - RIGHT)
    ends = [0.0] * _LANES
    parts = []
    labelled = [e for e in result.events if _is_band(e) or e["kind"] in ("limit", "step")]
    for event in sorted(labelled, key=lambda event: (not _is_band(event), event["t_s"])):
        if not x.lo <= event["t_s"] <= x.hi:
            continue
        at = x(event["t_s"])
        room = int((WIDTH - at - 8) / _LANE_LETTER)
        is_left = room < 16  # too near the edge to be read on the right of its tick
        words = _shortened(event["text"], 44 if is_left else min(44, room))
        long = 8 + _LANE_LETTER * len(words)
        start = at - long if is_left else at
        row = next((row for row in range(_LANES) if ends[row] <= start), None)
        if row is None:  # its words stay in the list of events
            row, words, start, long = _LANES - 1, "", at, 0
        stop = x(min(event["until_s"], x.hi)) if _is_band(event) else at
        ends[row] = max(ends[row], start + long + 6, stop + 6)
        y = 4 + 17 * row
        parts.append(
            f'<rect class="lane {_css(event)}" x="{svg.coordinate(at)}" y="{y}" '
            f'width="{svg.coordinate(max(stop - at, 2))}" height="14"/>'
        )
        place = (at - 4, "end") if is_left else (at + 4, "start")
        if words:
            parts.append(svg.text(place[0], y + 11, words, "lane-text", place[1]))
    used = sum(1 for end in ends if end)
    return "".join(parts), used


def _shortened(words, most):
    return words if len(words) <= most else words[: most - 1] + "\u2026"


def _unit_label(frame, low, high):
    return svg.text(frame.left - 8, frame.top - 9, svg.unit_of(low, high)[1], "unit", "end")
