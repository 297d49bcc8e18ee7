# SPDX-License-Identifier: MIT
"""Every packaged scenario under one profile: a report each, one table and one JUnit file."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from hil.conformance import profiles
from hil.scenarios.check import BadInput
from hil.scenarios.load import load

_SPEED_ONLY = ("quiet_day",)  # measures the bench, not the controller


def selected(folder, profile, select):
    """The scenarios of `folder` with the profile's checks; only those named by `select` (ids or
    their beginnings) if there are any. BadInput when nothing is left."""
    chosen = []
    for path in sorted(Path(folder).glob("*.toml")):
        if path.stem in _SPEED_ONLY:
            continue
        scenario = load(path)
        expect = scenario.expect + profiles.checks(profile)
        if select:
            expect = tuple(e for e in expect if e.id.startswith(tuple(select)))
        if expect:
            chosen.append(replace(scenario, expect=expect))
    if not chosen:
        raise BadInput(f"--select {' '.join(select)}: no such check; see docs/requirements.md")
    return chosen


def run(scenarios, execute, out_dir):
    """Run each with `execute(scenario, folder)`; returns [(scenario name, result)]."""
    out_dir = Path(out_dir)
    results = [(s.name, execute(s, out_dir / s.name)) for s in scenarios]
    rows = [
        {"scenario": name, "verdict": result.verdict, "checks": result.checks}
        for name, result in results
    ]
    (out_dir / "conformance.json").write_text(json.dumps(rows, indent=2) + "\n")
    suites = ElementTree.Element("testsuites")
    for name, _ in results:
        suites.append(ElementTree.parse(out_dir / name / "junit.xml").getroot())
    ElementTree.ElementTree(suites).write(out_dir / "junit.xml", encoding="utf-8")
    return results


def verdict(results):
    """FAIL if one failed, else INCONCLUSIVE if one was, else PASS."""
    verdicts = {result.verdict for _, result in results}
    return next((v for v in ("FAIL", "INCONCLUSIVE") if v in verdicts), "PASS")
