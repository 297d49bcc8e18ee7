# SPDX-License-Identifier: MIT
"""The plant: piecewise-linear truth behind the point of common coupling."""

from hil.plant.csv_trace import BadCsv, Trace, read_trace
from hil.plant.element import phase_mask
from hil.plant.events import EventLoad
from hil.plant.loads import ConstantLoad, CsvLoad, RelayLoad, StepLoad
from hil.plant.plant import Plant
from hil.plant.sources import Pv, clear_sky, constant_profile, trace_profile
from hil.plant.storage import Battery
from hil.plant.vehicles import Ev

__all__ = [
    "BadCsv",
    "Battery",
    "ConstantLoad",
    "CsvLoad",
    "Ev",
    "EventLoad",
    "Plant",
    "Pv",
    "RelayLoad",
    "StepLoad",
    "Trace",
    "clear_sky",
    "constant_profile",
    "phase_mask",
    "read_trace",
    "trace_profile",
]
