# SPDX-License-Identifier: MIT
"""The command `firmline`: everything a person does with a controller after it was built.

Each command is a module of this package with two functions:
    add_parser(subparsers)    adds its argparse parser, named as the command
    run(arguments)            does it and returns the exit status
A module must be cheap to import (libraries are imported where they are used), may raise ToolError
for whatever ends it in one line, and may be missing from a reduced installation.
"""

import argparse
import importlib
import importlib.util
import json
import os
import sys

from host_tools.errors import DONE, FAILED, BadInput, Stopped, ToolError

# command -> module of host_tools, in the order of the help
COMMANDS = {
    "flash": "flash",
    "deploy": "deploy",
    "release": "release",
    "commission": "commission",
    "config": "config",
    "status": "status",
    "monitor": "monitor",
    "log": "log",
    "envelope": "envelope",
    "report": "report",
}

_DESCRIPTION = """\
Flash, commission and watch a Firmline power control system controller."""
_EPILOG = """\
the first hour with a board:
  firmline flash IMAGE.uf2                put MicroPython on it
  firmline deploy                         put Firmline on it
  firmline config check site.json         is this a configuration? (needs no board)
  firmline commission --config site.json  set it, check each device, keep a record
  firmline monitor                        watch it

ways to a controller, for every command that needs one:
  --usb [DEVICE]         its USB cable; without DEVICE the one board there is (default)
  --rtu DEVICE[:BAUD]    its head-end port, through an RS-485 adapter
  --tcp HOST[:PORT]      its network, where the configuration allows it

exit status:
  0  done, every check holds
  1  something failed on the way, or a check does not hold
  2  bad input, or no controller there: nothing was changed

--json, on every command: standard output is one JSON object (monitor: one a reading; log: a list);
where it could not be done, one with the keys "error" and "exit_status".

firmline COMMAND --help explains a command."""


class UsageError(BadInput):
    """What the command line itself gets wrong."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage in front of it."""

    def error(self, message):
        error = UsageError(f"{message}; {self.prog} --help explains")
        error.said_by = self.prog
        raise error

    def parse_known_args(self, args=None, namespace=None):
        """Nobody but the command itself knows better: it refuses what it does not know."""
        known, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"not understood: {' '.join(rest)}")
        return known, rest


def modules():
    """Command -> module, of those that this installation has."""
    found = {}
    for command, name in COMMANDS.items():
        if importlib.util.find_spec(f"host_tools.{name}") is not None:
            found[command] = importlib.import_module(f"host_tools.{name}")
    return found


def parser(commands):
    """The argument parser over `commands` (from `modules`)."""
    from firmline.version import VERSION

    top = Parser(
        prog="firmline",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"firmline {VERSION}")
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for module in commands.values():
        module.add_parser(subparsers)
    return top


def main(arguments=None):
    """Run one command; the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        status = _run(arguments)
        sys.stdout.flush()  # here, where a reader that has gone is no traceback
        return status
    except ToolError as error:
        return _say(error, arguments)
    except KeyboardInterrupt:
        return _say(Stopped("stopped"), arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to print goes nowhere
        return FAILED
    except OSError as error:  # a file of the user's; the cable has errors of its own
        name = f"{error.filename}: " if error.filename else ""
        return _say(BadInput(f"{name}{error.strerror or error}"), arguments)


def _run(arguments):
    commands = modules()
    top = parser(commands)
    options = top.parse_args(arguments)
    if options.command is None:
        top.print_help()
        return DONE
    return commands[options.command].run(options)


def _say(error, arguments):
    """The line for a person on standard error; with --json, the object on standard output."""
    for line in error.lines():
        print(f"{error.said_by}: {line}", file=sys.stderr)
    if "--json" in arguments:
        print(json.dumps(error.as_json()), flush=True)
    return error.status
