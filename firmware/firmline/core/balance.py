# SPDX-License-Identifier: MIT
"""What the site would exchange without its flexible resources, seen through one PCC sample.

`uncontrolled = measured at the PCC - what the resources contribute`. While a changed command is
in flight its contribution is unknown between old and new; then the value is taken that calls for
no second step on the same information (docs/requirements.md, R5), once for import and once for
export.
"""

from firmline.core.snapshot import watts_array
from firmline.core.units import AXES, clamp


def highest_w(command_w, power_w):
    """The most a device may import under `command_w`: a load all of its offer; a source must be
    expected to supply no more than it does now."""
    if command_w > 0:
        return command_w
    return max(command_w, min(power_w, 0))


def lowest_w(command_w, power_w):
    """The most a device may export (as a low number): the mirror of `highest_w`."""
    if command_w < 0:
        return command_w
    return min(command_w, max(power_w, 0))


class Balance:
    """`import_w[axis]`, `export_w[axis]`: uncontrolled W for judging import and export."""

    def __init__(self, site, resources):
        self._axes = site.axes
        self._resources = resources
        self.import_w = watts_array(AXES)
        self.export_w = watts_array(AXES)
        self.credit_w = watts_array(resources.count)  # what was taken out for import ...
        self.credit_low_w = watts_array(resources.count)  # ... and for export

    def update(self, snapshot):
        for axis in range(self._axes):
            self.import_w[axis] = self.export_w[axis] = snapshot.axis_w[axis]
        for index in range(self._resources.count):
            self._take_out(index)

    # A frame of more than 11 words (locals and the deepest expression) is taken from the heap:
    # hence the small steps and the while loops, here and in all that the cycle calls.

    def _take_out(self, index):
        resources = self._resources
        command_w = resources.command_w[index]
        high_w = low_w = resources.power_w[index]
        if resources.in_flight[index]:
            high_w = max(high_w, command_w, resources.before_w[index])
            low_w = min(low_w, command_w, resources.before_w[index])
        elif command_w > 0:
            high_w = low_w = clamp(high_w, 0, command_w)
        else:
            high_w = low_w = clamp(high_w, command_w, 0)
        self.credit_w[index] = high_w
        self.credit_low_w[index] = low_w
        if high_w or low_w:
            self._subtract(index, high_w, low_w)

    def _subtract(self, index, high_w, low_w):
        self.import_w[0] -= high_w
        self.export_w[0] -= low_w
        high_w //= self._resources.wires[index]
        low_w = -low_w // self._resources.wires[index]
        mask = self._resources.mask[index]
        axis = 1
        while axis < self._axes:
            if mask & 1:
                self.import_w[axis] -= high_w
                self.export_w[axis] += low_w
            mask >>= 1
            axis += 1


class Ledger:
    """What is left on each axis while power is given out, W. `room_w` may be negative."""

    def __init__(self, site, resources):
        self._axes = site.axes
        self._resources = resources
        self.left_w = watts_array(AXES)

    def take(self, index, power_w):
        """Book `power_w` (< 0 gives back) for resource `index`, rounded up on the conductors."""
        if power_w:
            self.left_w[0] -= power_w
            power_w = -power_w // self._resources.wires[index]
            mask = self._resources.mask[index]
            axis = 1
            while axis < self._axes:
                if mask & 1:
                    self.left_w[axis] += power_w
                mask >>= 1
                axis += 1

    def room_w(self, index):
        """The power that resource `index` may still add on its tightest axis."""
        room_w = self.left_w[0]
        wires = self._resources.wires[index]
        mask = self._resources.mask[index]
        for axis in range(1, self._axes):
            if mask >> (axis - 1) & 1 and self.left_w[axis] * wires < room_w:
                room_w = self.left_w[axis] * wires
        return room_w
