# SPDX-License-Identifier: MIT
"""Runs before anything else: every output to its idle level; then the heap is kept in one piece.

Without a threshold nothing is collected until the heap is full, so that what the imports leave
behind lies scattered all over it, and a later table of 9 kB finds no room among 90 kB.
"""

import gc

import machine


def make_safe():
    from firmline.hal import choose  # not kept

    board = choose.board()
    pull = machine.Pin.PULL_UP if board.IDLE_LEVEL else machine.Pin.PULL_DOWN
    for pin in board.OUTPUT_PINS:
        machine.Pin(pin, machine.Pin.IN, pull)
    for pin in board.PWM_PINS:
        machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_DOWN)


make_safe()
del make_safe
gc.threshold(16384)  # taken back by hal.board when the controller runs
