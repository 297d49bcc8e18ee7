# SPDX-License-Identifier: MIT
"""The pins: relays of resources and trip outputs. Set in every cycle, and read back.

A trip output is on while the site may run: what holds the contactor, and what a power cut, a reset
or the dead-man of the hardware lets go of. Called by the app and by services.sensing.
"""

from firmline.services.eventlog import E_DEVICE_LOST


class Outputs:
    """by_resource: an output for each resource, None where it has none. trips: trip outputs.
    readbacks: a devices.readback for each output, first those of the resources with None where
    there is none. All outputs are off."""

    def __init__(self, by_resource, trips, readbacks):
        self._by_resource = by_resource
        self._relays = [k for k in range(len(by_resource)) if by_resource[k] is not None]
        self._trips = trips
        self._readbacks = readbacks

    def set(self, values, may_run):
        """values: of each resource, its relay is on above 0. may_run: the trip outputs are on.
        Needs nothing of the core, which may be what failed."""
        for output in self._trips:
            output.set(may_run)
        self._set_relays(values)

    def _set_relays(self, values):
        for index in self._relays:
            self._by_resource[index].set(values[index] > 0)

    def works(self, index, is_on, now_ms):
        """The relay of this resource does what it was told last."""
        return self._readbacks[index].agrees(is_on, now_ms)

    def look_at_trips(self, may_run, events, now_ms):
        """One that does not open or close when told is an event; nothing is left to open then."""
        k = len(self._by_resource)
        while k < len(self._readbacks):
            if self._fails_now(self._readbacks[k], may_run, now_ms):
                events.add(E_DEVICE_LOST, k)
            k += 1

    def _fails_now(self, readback, is_on, now_ms):
        return not readback.is_faulty and not readback.agrees(is_on, now_ms)
