# SPDX-License-Identifier: MIT
"""A square wave on a pin of a board. Loaded where one is opened."""

import machine


class Pwm:
    """Runs by itself until the pin is taken back (make_safe) or the chip is reset."""

    def __init__(self, pin, hz):
        self._pwm = machine.PWM(machine.Pin(pin), freq=hz, duty_u16=0)

    def permille(self, high):
        """Part of the time at high level, 0..1000; 1000 is steady."""
        self._pwm.duty_u16(high * 65535 // 1000)
