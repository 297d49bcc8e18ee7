# SPDX-License-Identifier: MIT
"""Write what a run leaves behind: summary.json, trace.csv, events.jsonl, junit.xml, report.html.

Same result, same bytes: no wall-clock time, no host name, numbers in one fixed form.
"""

import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

from hil.report import html
from hil.report.result import tolerance_text

_CHECK = ("id", "requirement", "limit", "measured", "unit", "uncertainty", "margin", "verdict")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_run(result, out_dir):
    """Write the five files of a RunResult into the folder `out_dir` (made if need be)."""
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "trace.csv": trace_csv(result.trace),
        "events.jsonl": "".join(json_line(event) for event in result.events),
        "junit.xml": junit(result),
        "report.html": html.page(result),
        "summary.json": summary(result),  # last: whoever waits for it finds the others
    }
    for name, text in files.items():
        with open(folder / name, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)


def summary(result):
    """summary.json, with the names of the bench contract and no others."""
    data = {
        "scenario": result.scenario["name"],
        "target": result.target,
        "seed": result.seed,
        "duration_s": result.duration_s,
        "firmware": result.firmware,
        "verdict": result.verdict,
        "metrics": result.metrics,
        "checks": [{key: check[key] for key in _CHECK} for check in result.checks],
    }
    return json.dumps(_finite(data), indent=2, allow_nan=False) + "\n"


def json_line(event):
    return json.dumps(_finite(event), allow_nan=False, ensure_ascii=False) + "\n"


def trace_csv(trace):
    """Columns in the order of the trace; whole numbers without a point, the rest to 1/1000."""
    columns = list(trace)
    lines = [",".join(columns)]
    for row in zip(*trace.values(), strict=True):
        lines.append(",".join([number(value) for value in row]))
    return "\n".join(lines) + "\n"


def number(value):
    """One form for one value: 1, -2.5, 0.001; empty when it is not known."""
    if value is None or not math.isfinite(value):
        return ""
    if isinstance(value, int):
        return str(int(value))
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def junit(result):
    """One test case a check; a failure says measured, limit and margin."""
    counted = [check["verdict"] for check in result.checks]
    suite = ElementTree.Element(
        "testsuite",
        name=_xml(f"firmline.{result.scenario['name']}"),
        tests=str(len(counted)),
        failures=str(counted.count("FAIL")),
        errors=str(counted.count("INCONCLUSIVE")),
        skipped=str(counted.count("N-A")),
        time=number(result.duration_s),
    )
    _properties(
        suite,
        {
            "target": result.target,
            "seed": result.seed,
            "firmware": result.firmware,
            "verdict": result.verdict,
            "tolerance": tolerance_text(result.tolerance),
        },
    )
    for check in result.checks:
        _case(suite, check, result.scenario["name"])
    ElementTree.indent(suite)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, "unicode") + "\n"
    )


def _case(suite, check, scenario):
    case = ElementTree.SubElement(
        suite, "testcase", classname=_xml(f"firmline.{scenario}"), name=_xml(check["id"]), time="0"
    )
    _properties(case, {key: check[key] for key in _CHECK[1:]})
    tag = {"FAIL": "failure", "INCONCLUSIVE": "error", "N-A": "skipped"}.get(check["verdict"])
    if tag is None:
        return
    said = ", ".join(
        f"{key} {_said(check[key])} {check['unit']}".strip()
        for key in ("measured", "limit", "margin", "uncertainty")
    )
    message = _xml(f"{check['verdict']} {check['id']} ({check['requirement']}): {said}")
    ElementTree.SubElement(case, tag, message=message).text = message


def _properties(parent, values):
    holder = ElementTree.SubElement(parent, "properties")
    for name, value in values.items():
        ElementTree.SubElement(holder, "property", name=name, value=_xml(_said(value)))


def _said(value):
    if value is None:
        return "-"
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number(value) if is_number else str(value)


def _xml(text):
    """Characters that no XML file may carry become a question mark."""
    return _NOT_XML.sub("?", str(text))


def _finite(value):
    """JSON knows no nan or inf: they become null, at any depth."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
