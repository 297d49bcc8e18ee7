# SPDX-License-Identifier: MIT
"""What ends a command: one line for the person at the keyboard, and an exit status."""

DONE = 0
FAILED = 1
BAD_INPUT = 2


class ToolError(Exception):
    """Something went wrong on the way, or a check failed. The text is one clear line."""

    status = FAILED


class BadInput(ToolError):
    """What was asked for cannot be done, and nothing was changed: what, where, what would be
    accepted."""

    status = BAD_INPUT
