# SPDX-License-Identifier: MIT
"""What a run hands to the report: plain data, filled by whoever ran it."""

from dataclasses import dataclass, field

MODES = {0: "start", 1: "normal", 2: "hold", 3: "fallback", 4: "tripped", 5: "safe"}
STAGES = {0: "inside", 1: "cut", 2: "to minimum", 3: "pause", 4: "trip"}


@dataclass
class RunResult:
    """One run. Times are seconds of simulated time from 0.

    scenario: {"name", "title"} and perhaps "facts": {what: text} to be shown with them.
    checks: the dicts of `conformance.metrics.check`; the further keys `metric` and `sense` ("max"
    or "min") are shown, never written to summary.json.
    trace: column name -> numbers, all of one length; t_s ascends. Columns known to the report:
    t_s, pcc_w, l1_w..l3_w, limit_import_w, limit_export_w (magnitude), limit_conductor_w, load_w,
    pv_w, meter_w, in_force_import_w, in_force_export_w, mode, stage, and for each device
    <name>_w with <name>_command_w. None stands for "not known".
    events: dicts with t_s, kind, text and, where it lasts, until_s. With until_s it is drawn as a
    band (kinds fault, silent, grant); kinds "limit" and "step" without are drawn as ticks. Kind
    "excursion" carries to_s and peak (W past limit and tolerance), its text opens with the side;
    without any, the exceedances are read from the trace.
    tolerance: {"reading_permille", "floor_w", "floor_a"}.
    """

    scenario: dict
    target: str
    seed: int
    duration_s: float
    firmware: str
    verdict: str
    metrics: dict
    checks: list
    trace: dict
    events: list
    tolerance: dict
    modes: dict = field(default_factory=lambda: MODES)
    stages: dict = field(default_factory=lambda: STAGES)


def tolerance_text(tolerance):
    """The stated tolerance, in words."""
    percent = tolerance["reading_permille"] / 10
    floors = f"{tolerance['floor_w']:g} W and {tolerance['floor_a']:g} A"
    return f"{percent:g} % of the limit in force, at least {floors}"


def devices(trace):
    """Names of the devices in a trace: every <name>_w that has a <name>_command_w."""
    return [
        name[:-10] for name in trace if name.endswith("_command_w") and name[:-10] + "_w" in trace
    ]
