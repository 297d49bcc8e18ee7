# SPDX-License-Identifier: MIT
"""`firmline status`: what the controller does now, once."""

import json

from host_tools import options, reading
from host_tools.device import open_device
from host_tools.errors import DONE

_EXAMPLES = """\
  firmline status                              the one board on USB
  firmline status --rtu /dev/ttyUSB0:19200     through an RS-485 adapter
  firmline status --tcp 192.168.1.20 --json | jq .limits"""


def add_parser(subparsers):
    parser = options.add_command(
        subparsers,
        "status",
        "what the controller does now",
        "Mode, limits in force and which one binds, power at the PCC, each device's command and\n"
        "power, head-end, counters. Power is positive when imported or consumed.",
        _EXAMPLES,
    )
    options.add_connection(parser)
    options.add_json(parser)


def run(arguments):
    with open_device(arguments) as device:
        config_text = device.config()
        now = reading.take(device, config_text)
        identity = device.as_json()
    if arguments.json:
        print(json.dumps({"device": identity} | now, indent=2))
        return DONE
    for line in lines(identity, now):
        print(line)
    return DONE


def lines(identity, now):
    """The reading as text, narrow enough for 80 columns where names are short."""
    yield f"{identity['manufacturer']} {identity['version']} on {identity['model']} " + (
        f"(serial {identity['serial']}) at {identity['where']}"
    )
    for what, value in reading.rows(now):
        yield f"  {what:14}{value}"
    if now["resources"]:
        yield f"  {'device':24}{'role':9}{'command':>12}{'power':>12}"
    for row in now["resources"]:
        command, power = reading.watts(row["command_w"]), reading.watts(row["power_w"])
        yield f"  {row['name']:24}{row['role']:9}{command:>12}{power:>12}"
