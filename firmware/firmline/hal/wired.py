# SPDX-License-Identifier: MIT
"""What a board has, as its file in boards/ says: asked when something is opened, and by host tools
for a configuration. OSError for what it has not; its text says what would be accepted.

On a board this is dropped once the controller runs. Called by hal/board.py.
"""


def uart(board, name):
    """(number, tx, rx, driver-enable pin or None) of a port."""
    if name not in board.UARTS:
        raise OSError("port %s: this board has %s" % (name, sorted(board.UARTS)))
    return board.UARTS[name]


def check_output(board, pin, readback_pin):
    """readback_pin: None for none."""
    if pin not in board.OUTPUT_PINS:
        raise OSError("pin %d: outputs are %s" % (pin, list(board.OUTPUT_PINS)))
    if readback_pin is not None and readback_pin not in board.INPUT_PINS:
        inputs = list(board.INPUT_PINS)
        raise OSError("readback_pin %d: inputs are %s" % (readback_pin, inputs))


def check_pwm(board, pin):
    if pin not in board.PWM_PINS:
        raise OSError("pin %d: PWM is at %s" % (pin, list(board.PWM_PINS)))


def check_radio(board):
    if not board.HAS_WIFI:
        raise OSError("network: this board has no radio")
