# SPDX-License-Identifier: MIT
"""RP2040 and RP2350. Written against the stubs and compiled; its proof on a chip is to come."""

from firmline.hal.board import BoardHardware


class Hardware(BoardHardware):
    """`board`: a module of firmline.boards. The chip's watchdog survives a soft reset."""
