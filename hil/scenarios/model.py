# SPDX-License-Identifier: MIT
"""What a scenario is once it has been read: plain frozen data, no behaviour.

Keys, units and ranges are those of `schema.py`. Dicts inside are not to be changed.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tolerance:
    reading_permille: int
    floor_w: int
    floor_a: float


@dataclass(frozen=True, slots=True)
class Device:
    """`config` holds the controller's own keys; `plant` and `emulator` are the bench's."""

    name: str
    type: str
    role: str
    config: dict
    plant: str | None
    emulator: dict


@dataclass(frozen=True, slots=True)
class Element:
    """One element of the plant; `kind` and the keys of `parameters` are those of the schema.

    phases is set in every one ("L123"). A csv kind has a `trace` (hil.plant Trace, shifted and
    scaled) in place of file, start_s and scale.
    """

    name: str
    phases: str
    kind: str | None
    parameters: dict


@dataclass(frozen=True, slots=True)
class Plant:
    """Tuples of Element."""

    load: tuple
    ev: tuple
    pv: tuple
    battery: tuple
    relay_load: tuple


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    target: str
    from_s: float
    to_s: float
    parameters: dict


@dataclass(frozen=True, slots=True)
class Write:
    """One grant by the head-end; a limit of None leaves that direction as it is."""

    at_s: float
    import_w: int | None
    export_w: int | None
    duration_s: int


@dataclass(frozen=True, slots=True)
class HeadEndScript:
    heartbeat_s: float
    status_s: float
    silent: tuple
    write: tuple


@dataclass(frozen=True, slots=True)
class Expect:
    id: str
    metric: str
    requirement: str
    unit: str
    max: float | None = None
    min: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    path: Path
    name: str
    title: str
    duration_s: float
    seed: int
    trace_step_ms: int
    tolerance: Tolerance
    site: dict
    timing: dict
    bus: tuple
    head_end: dict | None
    device: tuple
    plant: Plant
    fault: tuple
    head_end_script: HeadEndScript | None
    expect: tuple
