# SPDX-License-Identifier: MIT
"""The page of `firmline report`: strings in, one self-contained HTML file out.

Same content, same bytes: --verify compares. Everything from the controller is text and escaped.
"""

import json
from html import escape
from pathlib import Path

import hil.report
from host_tools import names, reading

_CSS = Path(hil.report.__file__).parent / "page.css"
_MORE_CSS = (
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--card);border:1px solid "
    "var(--rule);padding:12px 16px;font-size:13px}code{overflow-wrap:anywhere;font-size:.92em}"
    ".wide+.note{margin-top:10px}td.w,dd{overflow-wrap:anywhere}"
    ".checks td,.checks th{vertical-align:top}"
)
_VERDICTS = {
    "PASS": ("pass", "Commissioned: every check held."),
    "FAIL": ("fail", "Commissioned with checks that did not hold."),
    None: ("none", "There is no commissioning record on this controller."),
}
_MOST_EVENTS = 400


def page(content):
    """The whole file; `content` as report.gather makes it."""
    record = content["record"]
    title = f"{_site_name(content)}: Firmline report"
    data = json.dumps(content, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">",
        f"<title>{escape(title)}</title>",
        f"<style>{_CSS.read_text(encoding='utf-8')}{_MORE_CSS}</style></head><body><main>",
        _head(content, record),
        _tiles(content),
        _limits(content),
        _resources(content["reading"]),
        _excursions(content),
        _record(record, content["configuration"]),
        _events(content["events"]),
        _configuration(content["configuration"]),
        _foot(content),
        "</main>",
        f'<script type="application/json" id="content">{data}</script></body></html>',
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _config(content):
    try:
        config = json.loads(content["configuration"]["text"])
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}


def _site_name(content):
    return str(_config(content).get("site", {}).get("name", "site"))


def _head(content, record):
    device, config = content["device"], content["configuration"]
    css, words = _VERDICTS[record["verdict"] if record else None]
    if record and record["configuration"]["sha256"] != config["sha256"]:
        css, words = "unsure", "The configuration was changed after commissioning."
    details = device["details"]
    source = f"generation {config['generation']}" if config["generation"] else "copied by hand"
    facts = {
        "controller": f"{device['model']}, serial {device['serial']}",
        "firmware": f"Firmline {device['version']}, MicroPython {details.get('micropython', '-')}",
        "read": f"{content['time_utc']} with {content['tool']}",
        "through": device["where"],
        "starts": str(details.get("boots", "-")),
        "last cause": str(details.get("cause") or "none recorded"),
        "configuration": f"{source}, {config['bytes']} bytes, CRC32 {config['crc32']}",
        "configuration SHA-256": config["sha256"],
    }
    listed = "".join(
        f"<div><dt>{key}</dt><dd>{escape(str(value))}</dd></div>" for key, value in facts.items()
    )
    shown = record["verdict"] if record else "NO RECORD"
    return (
        '<header><p class="brand">Firmline report</p>'
        f"<h1>{escape(_site_name(content))}</h1>"
        f'<div class="verdict {css}"><strong>{escape(shown)}</strong><p>{escape(words)}</p></div>'
        f"<dl>{listed}</dl></header>"
    )


def _tiles(content):
    now = content["reading"]
    over = len(_spells(content))
    tiles = (
        (now["mode"], "mode"),
        (reading.watts(now["pcc"]["w"]), "at the PCC, + imports"),
        (reading.watts(now["limits"]["import_w"]), "import limit in force"),
        (reading.watts(now["limits"]["export_w"]), "export limit in force"),
        (str(over), "excursions in the log"),
        (str(now["counters"]["fallbacks"]), "fallbacks since start"),
    )
    body = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(words)}</span></div>'
        for value, words in tiles
    )
    return f'<section class="tiles">{body}</section>'


def _table(heads, rows, css="checks"):
    """heads: (text, class); cells are escaped. A row may be (class, cells)."""
    head = "".join(f'<th class="{css_}">{escape(text)}' for text, css_ in heads)
    body = []
    for row_css, cells in rows:
        line = "".join(
            f'<td class="{head_css}">{escape(str(cell))}</td>'
            for cell, (_, head_css) in zip(cells, heads, strict=True)
        )
        body.append(f'<tr class="{row_css}">{line}</tr>')
    return (
        f'<div class="wide"><table class="{css}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _limits(content):
    now, site = content["reading"], _config(content).get("site", {})
    limits, record = now["limits"], content["record"]
    ceiling = record["site"] if record else {}
    rows = []
    for side in ("import", "export"):
        rows.append(
            (
                "",
                (
                    side,
                    reading.limit_text(now, side),
                    _watts(site.get(f"firm_{side}_w")),
                    _watts(ceiling.get(f"ceiling_{side}_w")),
                ),
            )
        )
    conductor = f"{limits['conductor_a']:g} A ({limits['binding_conductor']})"
    firm_a, ceiling_a = site.get("firm_a", ceiling.get("firm_a")), ceiling.get("ceiling_a")
    cells = ("each conductor", conductor, _amps(firm_a), _amps(ceiling_a))
    rows.append(("", cells))
    heads = (("", ""), ("in force (which binds)", ""), ("firm", "n"), ("setting ceiling", "n"))
    note = f"Head-end: {reading.head_end_text(now)}."
    return (
        f'<section><h2>Limits</h2><p class="note">{escape(note)}</p>'
        f"{_table(heads, rows)}</section>"
    )


def _watts(value):
    return "-" if value is None else reading.watts(value)


def _amps(value):
    return "-" if value is None else f"{value:g} A"


def _resources(now):
    if not now["resources"]:
        return ""
    rows = [
        ("", (r["name"], r["role"], reading.watts(r["command_w"]), reading.watts(r["power_w"])))
        for r in now["resources"]
    ]
    heads = (("device", ""), ("role", ""), ("command", "n"), ("power", "n"))
    note = "At the moment of the report; power is positive when consumed."
    return f'<section><h2>Devices</h2><p class="note">{note}</p>{_table(heads, rows)}</section>'


def _spells(content):
    from host_tools.report import excursions

    return excursions(content["events"])


def _excursions(content):
    rows = []
    for start, end, worst in _spells(content):
        lasted = "goes on, or its end is not in the log"
        if end is not None:
            lasted = f"{end['uptime_s'] - start['uptime_s']} s"
        css = "fail" if worst >= 3 else ""
        stage = names.of(names.STAGES, worst)
        cells = (_number(start), start["boot"], _when(start), lasted, stage)
        rows.append((css, cells))
    note = (
        "From the escalation stages in the controller's log, to whole seconds: what the meter "
        "showed, with its margin, not the truth at the PCC."
    )
    if not rows:
        body = "<p>None in the log.</p>"
    else:
        heads = (("event", "n"), ("start", "n"), ("when", ""), ("lasted", "n"), ("stage", ""))
        body = _table(heads, rows)
    return (
        f'<section><h2>Excursions</h2><p class="note">{note}</p>{body}{_logged(content)}</section>'
    )


def _logged(content):
    """Those that the controller has summed up itself."""
    from host_tools.report import logged

    rows = []
    for event, values in logged(content["events"]):
        side = "export" if values["excursion"] < 0 else "import"
        cells = [_number(event), event["boot"], _when(event), side]
        for name, unit in (("excursion", "s"), ("excursion_w", "W"), ("excursion_wh", "Wh")):
            cells.append(f"{abs(values[name])} {unit}" if name in values else "-")
        source = values.get("excursion_limit")
        cells.append("-" if source is None else names.of(names.SOURCES, source))
        rows.append(("fail", cells))
    if not rows:
        return ""
    heads = (("event", "n"), ("start", "n"), ("ended", ""), ("side", ""), ("lasted", "n"))
    heads += (("peak beyond", "n"), ("energy beyond", "n"), ("limit", ""))
    return '<p class="note">Those of 15 s or more, as the controller summed them up.</p>' + (
        _table(heads, rows)
    )


def _number(event):
    return "-" if event["sequence"] is None else event["sequence"]


def _when(event):
    after = f"{reading.lasting(event['uptime_s'])} after start"
    return f"{event['time'][:19].replace('T', ' ')} ({after})" if event["time"] else after


def _record(record, config):
    if record is None:
        text = "None on the controller. `firmline commission` makes one."
        return f"<section><h2>Commissioning record</h2><p>{text}</p></section>"
    css = {"PASS": "pass", "FAIL": "fail"}
    rows = []
    for row in record["checks"]:
        what = row["what"] + (f" ({row['note']})" if row["note"] else "")
        cells = (what, row["accepted"], row["measured"], row["verdict"])
        rows.append((css.get(row["verdict"], "none"), cells))
    heads = (("check", "w"), ("accepted", "w"), ("measured", "w"), ("verdict", "v"))
    same = "the one in force"
    if record["configuration"]["sha256"] != config["sha256"]:
        same = "not the one in force any more"
    facts = (
        f"{record['time_utc']} with {record['tool']}; configuration CRC32 "
        f"{record['configuration']['crc32']}, {same}."
    )
    notes = "".join(f"<p>{escape(note)}</p>" for note in record["notes"])
    sha = f'<p class="note">SHA-256 of the record: <code>{escape(record["sha256"])}</code></p>'
    return (
        f'<section><h2>Commissioning record</h2><p class="note">{escape(facts)}</p>'
        f"{_table(heads, rows)}{notes}{sha}</section>"
    )


def _events(events):
    rows = []
    for event in events[-_MOST_EVENTS:]:
        cells = (_number(event), event["boot"], _when(event))
        rows.append(("", (*cells, event["event"].replace("_", " "), event["text"])))
    heads = (("event", "n"), ("start", "n"), ("when", ""), ("what", ""), ("", ""))
    more = len(events) - len(rows)
    rest = f"<p>{more} older ones are in the content of this file.</p>" if more else ""
    return (
        f"<details><summary>Events ({len(events)})</summary>"
        f"{_table(heads, rows, 'plain')}{rest}</details>"
    )


def _configuration(config):
    text = config["text"]
    try:
        text = json.dumps(json.loads(text), indent=1)
    except ValueError:
        pass  # shown as it is
    return f"<details><summary>Configuration</summary><pre>{escape(text)}</pre></details>"


def _foot(content):
    return (
        "<footer><p>SHA-256 of the content: <code>"
        f"{content['sha256']}</code>. <code>firmline report --verify FILE</code> reckons it "
        "again; it shows a change only to who has kept the sum elsewhere.</p>"
        "<p>Shaped after public descriptions of power control system requirements; not a "
        "certified product; no compliance claimed.</p></footer>"
    )
