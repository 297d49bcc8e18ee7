# SPDX-License-Identifier: MIT
"""Helpers of the elements: when a line has gathered an energy, conductor masks."""

import pytest

from hil.plant import phase_mask
from hil.plant.element import crossing_us, ramp_us

NEVER = 4_611_686_018_427_387_904


@pytest.mark.parametrize(
    ("level_w", "slope", "energy_wus", "after_us"),
    [
        (1000.0, 0.0, 1_000_000.0, 1000),
        (1000.0, 0.0, 1_000_001.0, 1001),  # rounded up: gathered by then
        (0.0, 0.002, 1_000.0, 1000),  # half of 0.002 W/us times 1000 us squared
        (2.0, -0.002, 1_000.0, 1000),  # the peak of a falling line, reached just so
        (2.0, -0.002, 1_001.0, NEVER),
        (0.0, 0.0, 1.0, NEVER),
        (0.0, -1.0, 1.0, NEVER),
        (0.0, 1.0, 0.0, 1),
        (5.0, 0.0, 0.0, 1),
        (5.0, 0.0, -3.0, 1),
        (1e-300, 0.0, 1e6, NEVER),
    ],
)
def test_crossing(level_w, slope, energy_wus, after_us):
    assert crossing_us(level_w, slope, energy_wus) == after_us


def test_ramp_takes_at_least_a_microsecond_and_is_not_stretched_by_rounding():
    assert ramp_us(1e-9, 1.0) == 1
    assert ramp_us(2070.0, 2070.0 / 2_000_000) == 2_000_000
    assert ramp_us(10.0, 3.0) == 4


def test_phase_mask():
    assert [phase_mask(name) for name in ("L1", "L2", "L3", "L12", "L123", 5)] == [
        1,
        2,
        4,
        3,
        7,
        5,
    ]
    for wrong in ("L4", "l1", "", 0, 8, True, None, 1.0):
        with pytest.raises(ValueError):
            phase_mask(wrong)
