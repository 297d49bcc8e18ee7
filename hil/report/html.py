# SPDX-License-Identifier: MIT
"""report.html: one file that opens anywhere, also without a network and without scripts.

Everything a run brought along is text and is escaped; the only script is page.js, which reads the
plots' own data to answer the pointer.
"""

import json
import math
from html import escape
from pathlib import Path

from hil.report import decimate, plots
from hil.report.result import devices, tolerance_text

_HERE = Path(__file__).parent
_MOST_BYTES = 380_000
_COLUMNS = (620, 460, 300, 200, 120, 60)  # tried until the page is small enough
_MOST_EVENTS = 250
_THIN = "\u202f"
_SENSE = {"max": "\u2264 ", "min": "\u2265 "}
_TILES = (
    ("import_longest_excursion_s", "longest import excursion", "s"),
    ("export_longest_excursion_s", "longest export excursion", "s"),
    ("current_longest_excursion_s", "longest current excursion", "s"),
    ("response_s.max", "slowest response", "s"),
    ("fallback_s.max", "slowest fallback", "s"),
    ("headroom_used", "of the headroom used", "%"),
)


def page(result):
    """The whole file as text."""
    for columns in _COLUMNS:
        text = _page(result, columns)
        if len(text.encode()) <= _MOST_BYTES:
            break
    return text


def _page(result, columns):
    title = f"{result.verdict}: {result.scenario['title']}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">",
        f"<title>{escape(title)}</title>",
        f"<style>{(_HERE / 'page.css').read_text(encoding='utf-8')}</style></head><body><main>",
        _head(result),
        _tiles(result.metrics),
        _checks(result.checks),
        _plots(result, columns),
        _metrics(result.metrics),
        _events(result.events),
        _foot(result),
        "</main>",
        _data(result, columns),
        f"<script>{(_HERE / 'page.js').read_text(encoding='utf-8')}</script></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _head(result):
    facts = {
        "scenario": result.scenario["name"],
        "target": result.target,
        "firmware": result.firmware,
        "seed": result.seed,
        "simulated": _lasting(result.duration_s),
        "tolerance": tolerance_text(result.tolerance),
    } | result.scenario.get("facts", {})
    listed = "".join(
        f"<div><dt>{key}</dt><dd>{escape(str(value))}</dd></div>" for key, value in facts.items()
    )
    return (
        '<header><p class="brand">Firmline bench</p>'
        f"<h1>{escape(result.scenario['title'])}</h1>"
        f'<div class="verdict {_css(result.verdict)}"><strong>{escape(result.verdict)}</strong>'
        f"<p>{escape(_sentence(result))}</p></div><dl>{listed}</dl></header>"
    )


def _sentence(result):
    """What the verdict rests on, in one or two sentences."""
    checks = result.checks
    if result.verdict == "INCONCLUSIVE":
        return "The host stalled or something was not measured: this is no pass. Repeat the run."
    if not checks:
        return "Nothing was expected of this run, so nothing was checked."
    passed = sum(1 for check in checks if check["verdict"] == "PASS")
    words = (
        f"{passed} of {len(checks)} checks inside their limits, judged on the truth at the PCC."
    )
    failed = [check["id"] for check in checks if check["verdict"] == "FAIL"]
    if failed:
        return words + " Outside: " + ", ".join(failed) + "."
    return words


def _tiles(metrics):
    tiles = []
    for name, words, unit in _TILES:
        value = _metric(metrics, name)
        if value is None:
            continue
        shown, unit = (value * 100, "%") if unit == "%" else (value, unit)
        tiles.append(
            f'<div class="tile"><b>{number(shown, 3)}<small>{_THIN}{unit}</small></b>'
            f"<span>{words}</span></div>"
        )
    return f'<section class="tiles">{"".join(tiles)}</section>' if tiles else ""


def _metric(metrics, name):
    value = metrics
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _checks(checks):
    if not checks:
        return ""
    rows = []
    for check in checks:
        sense = _SENSE.get(check.get("sense"), "")
        cells = "".join(
            f'<td class="n">{sense if key == "limit" else ""}{number(check[key])}</td>'
            for key in ("limit", "measured")
        )
        cells += f"<td>{escape(check['unit'])}</td>"
        cells += "".join(
            f'<td class="n">{number(check[key])}</td>' for key in ("uncertainty", "margin")
        )
        rows.append(
            f'<tr class="{_css(check["verdict"])}"><td>{escape(check["id"])}</td>'
            f"<td>{escape(check['requirement'])}</td>"
            f"<td>{escape(check.get('metric', ''))}</td>{cells}"
            f'<td class="v">{escape(check["verdict"])}</td></tr>'
        )
    heads = "<th>check<th>for<th>metric<th class=n>limit<th class=n>measured<th>unit"
    heads += "<th class=n>uncertainty<th class=n>margin<th class=v>verdict"
    return (
        '<section><h2>Checks</h2><div class="wide"><table class="checks">'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _plots(result, columns):
    if not result.trace.get("t_s"):
        return "<section><h2>Plots</h2><p>This run left no trace.</p></section>"
    out = [
        _figure(
            "Power at the point of common coupling",
            "Import is positive, export negative. The pale band is what the limits allow; red is "
            "truth above the limit and its tolerance.",
            plots.overview(result, columns),
            '<i class="k truth"></i>truth <i class="k limit"></i>limit in force '
            '<i class="k over"></i>exceedance',
        )
    ]
    drawn = plots.close_ups(result)
    if drawn:
        small = "".join(
            f"<figure><figcaption>{escape(title)}</figcaption>{picture}</figure>"
            for title, picture in drawn
        )
        out.append(
            '<section><h2>Close-ups</h2><p class="note">Full resolution of the trace. '
            '<span class="keys"><i class="k truth"></i>truth <i class="k meter"></i>what the '
            'controller last read <i class="k limit"></i>limit in force</span></p>'
            f'<div class="pairs">{small}</div></section>'
        )
    per_conductor = plots.conductors(result, columns)
    if per_conductor:
        note = "Watts at nominal voltage."
        out.append(_figure("Conductors", note, per_conductor, ""))
    note = "Consumption is positive, supply negative; each row has its own scale."
    keys = '<i class="k power"></i>power <i class="k command"></i>command'
    out.append(_figure("Devices and controller", note, plots.resources(result, columns), keys))
    return "".join(out)


def _figure(title, note, picture, keys):
    keys = f' <span class="keys">{keys}</span>' if keys else ""
    return (
        f'<section><h2>{title}</h2><p class="note">{note}{keys}</p>'
        f'<figure class="timeline">{picture}</figure></section>'
    )


def _metrics(metrics):
    rows = []
    for name, value in metrics.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for part, item in parts:
            label = f"{name}.{part}" if part else name
            rows.append(f'<tr><td>{escape(label)}</td><td class="n">{number(item)}</td></tr>')
    return (
        f"<details><summary>All metrics ({len(rows)})</summary>"
        f'<table class="plain"><tbody>{"".join(rows)}</tbody></table></details>'
    )


def _events(events):
    rows = []
    for event in events[:_MOST_EVENTS]:
        until = event.get("until_s", event.get("to_s"))
        rows.append(
            f'<tr><td class="n">{number(event["t_s"])}</td>'
            f'<td class="n">{"" if until is None else number(until)}</td>'
            f"<td>{escape(str(event['kind']))}</td><td>{escape(str(event['text']))}</td></tr>"
        )
    more = len(events) - len(rows)
    rest = f"<p>{more} more are in events.jsonl.</p>" if more > 0 else ""
    return (
        f"<details><summary>Events ({len(events)})</summary>"
        '<table class="plain"><thead><tr><th class="n">from, s<th class="n">until, s<th>kind<th>'
        f"what</tr></thead><tbody>{''.join(rows)}</tbody></table>{rest}</details>"
    )


def _foot(result):
    return (
        "<footer><p>Profiles are shaped after public descriptions of UL 3141, the UL 1741 CRD, "
        "IEEE 1547 and UK EREC G100; not a certified product; no compliance claimed. "
        f"Tolerance: {escape(tolerance_text(result.tolerance))}.</p>"
        "<p>Beside this file: summary.json, trace.csv, events.jsonl, junit.xml.</p></footer>"
    )


def _data(result, columns):
    """Lowest and highest value of each column, for the read-out under the pointer."""
    trace = result.trace
    if not trace.get("t_s"):
        return ""
    t_s = trace["t_s"]
    columns = min(columns, 240)
    found = decimate.edges(t_s, t_s[0], max(t_s[-1], t_s[0] + 1e-3), columns)
    series = {}
    names = ["pcc_w", "limit_import_w", "limit_export_w", "load_w"]
    names += [f"{name}_w" for name in devices(trace)]
    for name in names:
        if name in trace:
            pairs = decimate.extremes(trace[name], found)
            series[name] = [
                None if pair is None else _pair(trace[name][pair[0]], trace[name][pair[1]])
                for pair in pairs
            ]
    data = {"from": t_s[0], "to": t_s[-1], "columns": columns, "series": series}
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="data">{text}</script>'


def _pair(low, high):
    low, high = round(low), round(high)
    return low if low == high else [low, high]


def number(value, significant=4):
    """A number as people read it: few digits, thousands apart."""
    if value is None:
        return "\u2013"
    if isinstance(value, str):
        return escape(value)
    if not math.isfinite(value):
        return "\u2013"
    if value == int(value) and abs(value) < 1e12:
        return f"{int(value):,}".replace(",", _THIN).replace("-", "\u2212")
    digits = max(0, significant - 1 - int(math.floor(math.log10(abs(value)))))
    text = f"{value:,.{min(digits, 6)}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace(",", _THIN).replace("-", "\u2212")


def _lasting(seconds):
    minutes, rest = divmod(seconds, 60)
    if seconds < 120:
        return f"{seconds:g} s"
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest:g} s"


def _css(verdict):
    known = {"PASS": "pass", "FAIL": "fail", "INCONCLUSIVE": "unsure", "N-A": "none"}
    return known.get(verdict, "none")
