# SPDX-License-Identifier: MIT
"""Runs of the bench for the tests: a scenario, a target, perhaps a planted defect."""

import tempfile
from dataclasses import replace

from hil.bench import Bench
from hil.options import SCENARIOS
from hil.scenarios.load import load
from hil.targets.stepped import LockstepTarget, VirtualTarget

TARGETS = {"virtual": VirtualTarget, "micropython": LockstepTarget}


class WireLog(list):
    """Everything a wire carried, as (t_us, direction, bytes)."""


def run(name, target="virtual", keep_wires=False, **changes):
    """(bench, result) of a packaged scenario; `changes` replace fields of the Scenario."""
    scenario = replace(load(SCENARIOS / f"{name}.toml"), **changes)
    with tempfile.TemporaryDirectory() as work_dir:
        bench = Bench(scenario, TARGETS[target], work_dir)
        if keep_wires:
            for wire in bench.wires.values():
                wire.log = WireLog()
        return bench, bench.run()
