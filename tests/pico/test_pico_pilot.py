# SPDX-License-Identifier: MIT
"""The control pilot as it leaves the emulated chip: edges in the chip's own time."""

import pytest

from hil.targets.pico import image

MAIN = """
import time
from firmline.devices.pilot import PILOT_HZ, duty_permille
from firmline.hal import choose, rp2
hardware = rp2.Hardware(choose.board())
pilot = hardware.open_pwm(3, PILOT_HZ)
pilot.permille(duty_permille(16000))
time.sleep_ms(20)
hardware.make_safe()
time.sleep_ms(1000)
"""


def test_sixteen_amps_are_a_duty_of_26_6_percent_at_1_khz(boot):
    files = image.firmware_files("{}")
    del files["main.py"], files["boot.py"]
    chip = boot(MAIN, files, watch=(3,))
    edges = []
    while chip.now_us < 1_200_000:
        edges += [event for event in chip.run(1_200_000) if event[0] == "pin"]
    rises = [t for _, t, _, level in edges if level == 1]
    falls = [t for _, t, _, level in edges if level == 0]
    assert rises[-1] - rises[-2] == pytest.approx(1000, abs=2)
    high_us = falls[-1] - max(t for t in rises if t < falls[-1])
    assert high_us == pytest.approx(266, abs=3)
    assert 15 <= len(rises) <= 25, "make_safe ended it"
    assert edges[-1][3] is None, "and left the pin to its pull-down"
