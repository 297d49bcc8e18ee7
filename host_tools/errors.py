# SPDX-License-Identifier: MIT
"""What ends a command: one line for the person at the keyboard, and an exit status."""

DONE = 0
FAILED = 1
BAD_INPUT = 2


class ToolError(Exception):
    """Something went wrong on the way, or a check failed. The text is one clear line.

    facts: what --json adds to it. said_by: what the line begins with.
    """

    status = FAILED
    said_by = "firmline"

    def __init__(self, text, **facts):
        super().__init__(text)
        self.facts = facts

    def lines(self):
        """For a person; more than one only where each of several faults has its own."""
        return str(self).split("\n")

    def as_json(self):
        """For a program."""
        return {"error": self.lines()[-1], "exit_status": self.status} | self.facts


class BadInput(ToolError):
    """What was asked for cannot be done, and nothing was changed: what, where, what would be
    accepted."""

    status = BAD_INPUT


class Missing(BadInput):
    """A package that only the tools need, and a bare installation does not have."""

    def __init__(self, packages):
        super().__init__(f"{packages} missing: pip install 'firmline[tools]'")


class Stopped(ToolError):
    """By Ctrl-C."""

    status = 130
