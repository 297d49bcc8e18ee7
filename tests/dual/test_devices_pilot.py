# SPDX-License-Identifier: MIT
"""The control pilot's duty: literals of the standard's table, edges, never more than offered."""

from firmline.devices.pilot import duty_permille

TABLE = (
    (-1, 1000),
    (0, 1000),
    (5999, 1000),
    (6000, 100),  # 10 %
    (6059, 100),
    (6060, 101),
    (10000, 166),
    (16000, 266),
    (32000, 533),
    (48000, 800),
    (51000, 850),  # 85 %
    (51001, 844),
    (63000, 892),
    (80000, 960),  # 96 %
    (80001, 960),
    (200000, 960),
)


def taken_ma(permille):
    """What a vehicle may take at a duty, read the other way round."""
    if permille < 100 or permille > 960:
        return 0
    return permille * 60 if permille <= 850 else (permille - 640) * 250


def test_duty_of_known_currents():
    for offer_ma, permille in TABLE:
        assert duty_permille(offer_ma) == permille, offer_ma


def test_a_vehicle_never_reads_more_than_was_offered_and_hardly_less():
    for offer_ma in range(0, 90000, 10):
        read_ma = taken_ma(duty_permille(offer_ma))
        assert read_ma <= offer_ma
        if 6000 <= offer_ma <= 80000:
            assert read_ma > offer_ma - (1750 if 51000 < offer_ma < 52750 else 250), offer_ma
