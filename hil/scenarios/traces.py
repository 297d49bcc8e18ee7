# SPDX-License-Identifier: MIT
"""Recorded power for a scenario: hil.plant reads the file, this fits it to site and run."""

from bisect import bisect_right

from hil.plant.csv_trace import BadCsv, Trace, read_trace
from hil.plant.element import to_us
from hil.scenarios.check import BadInput


def read(path, phases, need_pv=False):
    """The Trace in the CSV file `path` for a site of `phases` conductors, or BadInput."""
    try:
        trace = read_trace(path)
    except BadCsv as error:
        if error.row:
            raise BadInput(str(error)) from None
        reason = f"cannot be read: {error.value}; expected {error.accepted}"
        raise BadInput(f"{path}: {reason}") from None
    if trace.is_per_phase and phases != 3:
        accepted = f"load_w, because this site has phases = {phases}"
        raise BadInput(f"{path}: row 1, column l1_w: expected {accepted}")
    if need_pv and not trace.has_pv:
        raise BadInput(f"{path}: row 1: expected a column pv_w")
    return trace


def shifted(trace, start_s, scale):
    """The trace as seen when its time start_s becomes 0 and every power is scaled."""
    start_us = to_us(start_s)
    first = bisect_right(trace.t_us, start_us) - 1
    t_us = [0] + [at_us - start_us for at_us in trace.t_us[first + 1 :]]
    columns = {
        name: [value * scale for value in values[first:]] for name, values in trace.columns.items()
    }
    return Trace(trace.file, t_us, columns)
