# SPDX-License-Identifier: MIT
"""What a command tells: lines as it goes for a person, one JSON object at its end otherwise."""

import contextlib
import json

from host_tools.errors import ToolError


class Output:
    """facts: what the JSON object will hold."""

    def __init__(self, is_json):
        self.is_json = is_json
        self.facts = {}

    def say(self, line, **facts):
        """Print `line` for a person; keep the facts for a program."""
        self.facts |= facts
        if not self.is_json:
            print(line, flush=True)


@contextlib.contextmanager
def telling(arguments):
    """An Output. A ToolError takes along what was known by then."""
    output = Output(arguments.json)
    try:
        yield output
    except ToolError as error:
        error.facts = output.facts | error.facts
        raise
    if output.is_json:
        print(json.dumps(output.facts, indent=2))
