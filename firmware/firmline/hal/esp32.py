# SPDX-License-Identifier: MIT
"""ESP32. Written against the stubs and compiled; its proof on a chip is to come."""

from firmline.hal.board import BoardHardware


class Hardware(BoardHardware):
    """`board`: a module of firmline.boards. The task watchdog resets the chip by a panic."""
