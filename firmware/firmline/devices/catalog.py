# SPDX-License-Identifier: MIT
"""The supported product types: configuration name -> table. Called when links are built.

TYPES[name]["role"] is "meter", "evse", "pv" or "battery".

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

from firmline.devices.batteries import sunspec124 as battery_124
from firmline.devices.batteries import sunspec704 as battery_704
from firmline.devices.evse import abb_terra_ac, heidelberg_energy_control
from firmline.devices.inverters import sunspec123 as pv_123
from firmline.devices.inverters import sunspec704 as pv_704
from firmline.devices.meters import sdm630, sunspec203, sunspec213

TYPES = {
    "eastron_sdm630": sdm630.TABLE,
    "sunspec_meter_203": sunspec203.TABLE,
    "sunspec_meter_213": sunspec213.TABLE,
    "sunspec_pv_123": pv_123.TABLE,
    "sunspec_pv_704": pv_704.TABLE,
    "sunspec_battery_124": battery_124.TABLE,
    "sunspec_battery_704": battery_704.TABLE,
    "abb_terra_ac": abb_terra_ac.TABLE,
    "heidelberg_energy_control": heidelberg_energy_control.TABLE,
}
