# SPDX-License-Identifier: MIT
"""Runs before anything else: every output to its idle level, then nothing more."""

import sys

import machine


def make_safe():
    if sys.platform == "rp2":
        from firmline.boards import pico as board
    else:
        from firmline.boards import esp32_devkit as board
    for pin in board.OUTPUT_PINS:
        machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_DOWN)


make_safe()
