# SPDX-License-Identifier: MIT
"""Same scenario, same seed: the same bytes at the same microsecond, in every interpreter."""

import pytest
import runs

from hil.report.files import trace_csv

SHORT_S = 1500.0


@pytest.fixture(scope="module")
def virtual():
    return runs.run("evening", keep_wires=True, duration_s=SHORT_S)


def test_virtual_run_is_repeatable(virtual):
    _, again = runs.run("evening", keep_wires=True, duration_s=SHORT_S)

    assert trace_csv(again.trace) == trace_csv(virtual[1].trace)


def test_another_seed_gives_another_run(virtual):
    _, other = runs.run("evening", keep_wires=True, duration_s=SHORT_S, seed=8)

    assert trace_csv(other.trace) != trace_csv(virtual[1].trace)


def test_micropython_in_lockstep_puts_the_same_bytes_on_the_wire(virtual):
    bench, result = runs.run("evening", "micropython", keep_wires=True, duration_s=SHORT_S)

    frames = 0
    for port, wire in bench.wires.items():
        assert wire.log == virtual[0].wires[port].log
        frames += len(wire.log)
    assert frames > 20_000
    assert trace_csv(result.trace) == trace_csv(virtual[1].trace)
