# SPDX-License-Identifier: MIT
"""The supported product types: configuration name -> table. Called when links are built.

A table is imported when it is asked for: a board has room for those of its site only. Its "role"
is "meter", "evse", "pv" or "battery".

A table is data; devices.link interprets it:
    models      SunSpec models to find: (first id, last id, least length, is required); their
                order numbers the slots. Empty for a fixed map (slot 0 starts at register 0)
    identify    reads that must be valid before anything is written:
                (slot, function, offset, count, is required, fields)
    setup       frames sent before the first command and again after every loss of the link
    command     frames of one command, all sent for each; see devices.setpoint for the words
    blocks      reads: (slot, function, offset, count, period_ms, fields); the first is the fast
                one, period 0 stands for the link's poll_ms; see devices.fields for the fields
    states      raw EVSE state -> 0 none, 1 unplugged, 2 connected waiting, 3 charging, 4 fault
"""

PLACES = {  # configuration name: the module that holds its TABLE
    "eastron_sdm630": "meters.sdm630",
    "sunspec_meter_203": "meters.sunspec203",
    "sunspec_meter_213": "meters.sunspec213",
    "sunspec_pv_123": "inverters.sunspec123",
    "sunspec_pv_704": "inverters.sunspec704",
    "sunspec_battery_124": "batteries.sunspec124",
    "sunspec_battery_704": "batteries.sunspec704",
    "abb_terra_ac": "evse.abb_terra_ac",
    "heidelberg_energy_control": "evse.heidelberg_energy_control",
}


def table_of(name):
    """The table of a name in PLACES."""
    return __import__("firmline.devices." + PLACES[name], None, None, ("TABLE",)).TABLE
