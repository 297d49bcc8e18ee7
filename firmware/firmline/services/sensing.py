# SPDX-License-Identifier: MIT
"""What the meter and the devices say, put where the core reads it; and whether a command has had
its effect. Called by the app in every cycle, before the core; allocates nothing.
"""

from firmline.core.snapshot import BATTERY, EVSE, watts_array
from firmline.core.units import HALF_RING_MS, TICKS_MASK, clamp, const, elapsed_ms, watts
from firmline.devices.measured import STATE_CHARGING, STATE_WAITING
from firmline.services.eventlog import E_DEVICE_BACK, E_DEVICE_LOST

_MOST_W = const(0x10000000)
_STEADY_W = const(200)
_RELAY_MS = const(200)  # coil, contact and the load behind it
_LONGEST_FLIGHT_MS = const(30000)  # a vehicle that has not started by then does not want to


class Sensing:
    """links: of each resource, None for a relay. reserve_permille: of each resource, the state of
    charge below which a battery counts as low."""

    def __init__(self, site, resources, snapshot, meter, links, outputs, reserve_permille):
        count = len(links)
        self._site = site
        self._relay_ms = _RELAY_MS + site.meter_latency_ms
        self._resources = resources
        self._snapshot = snapshot
        self._meter = meter
        self._links = links
        self._outputs = outputs
        self._reserve_permille = reserve_permille
        self._seen_ok_ms = [-1] * count  # when the link had its last answer
        self._seen_samples = [0] * count
        self._seen_w = watts_array(count)
        self._is_steady = bytearray(count)
        self._was_online = bytearray(count)
        self._is_roll_due = True  # somebody may have come or gone

    def take_sample(self):
        """Meter to snapshot; a conductor's nominal watts carry the sign of its power. What no
        site has (268 MW) is left at that: the core's sums stay inside 31 bits."""
        axis_w = self._snapshot.axis_w
        meter = self._meter
        self._snapshot.samples = meter.samples
        axis_w[0] = clamp(meter.total_w, -_MOST_W, _MOST_W)
        for conductor in range(self._site.axes - 1):
            power_w = watts(abs(meter.l_ma[conductor]), self._site.voltage_dv)
            axis_w[conductor + 1] = -power_w if meter.l_w[conductor] < 0 else power_w

    def look(self, now_ms):
        """What each device does now, and whether its last command has had its effect."""
        for index in range(self._resources.count):
            link = self._links[index]
            if link is None:
                self._look_at_relay(index, now_ms)
                continue
            if link.last_ok_ms != self._seen_ok_ms[index]:
                self._look_at_link(index, link)
            elif not link.is_online:
                self._look_at_lost(index)
            if self._resources.in_flight[index] and self._has_settled(index, link, now_ms):
                self._resources.in_flight[index] = 0

    def _look_at_relay(self, index, now_ms):
        """It has no reading of its own: it does what it was told, once the PCC meter can have
        seen it."""
        resources = self._resources
        command_w = resources.command_w[index]
        works = self._outputs.works(index, command_w > 0, now_ms)
        if resources.is_online[index] != works:
            resources.is_online[index] = works
            self._is_roll_due = True
        resources.wants[index] = 1
        resources.power_w[index] = command_w if works else 0
        if elapsed_ms(now_ms, resources.changed_ms[index]) >= self._relay_ms:
            resources.in_flight[index] = 0

    def _look_at_link(self, index, link):
        """It has answered since the last look."""
        resources = self._resources
        kind = resources.kind[index]
        power_w = link.power_w
        if kind == EVSE:
            power_w = link.draw_w
            resources.wants[index] = link.state == STATE_WAITING or link.state == STATE_CHARGING
        elif kind == BATTERY:
            self._look_at_charge(index, link.soc_permille)
        if resources.is_online[index] != link.is_online:
            resources.is_online[index] = link.is_online
            self._is_roll_due = True
        resources.power_w[index] = power_w if link.is_online else 0
        self._seen_ok_ms[index] = link.last_ok_ms
        if link.samples != self._seen_samples[index]:
            self._seen_samples[index] = link.samples
            self._note_reading(index, power_w)

    def _look_at_lost(self, index):
        """No credit for what it did when it last answered; the next answer brings a new look."""
        self._resources.power_w[index] = 0
        if self._resources.is_online[index]:
            self._resources.is_online[index] = 0
            self._is_roll_due = True

    def _look_at_charge(self, index, soc_permille):
        """An unknown state of charge (-1) counts as low."""
        self._resources.is_low[index] = soc_permille <= self._reserve_permille[index]

    def _note_reading(self, index, power_w):
        """Steady: two readings in a row that agree within 200 W or a sixteenth."""
        change_w = abs(power_w - self._seen_w[index])
        self._is_steady[index] = change_w <= max(_STEADY_W, abs(power_w) >> 4)
        self._seen_w[index] = power_w

    def _has_settled(self, index, link, now_ms):
        """Both the device's own reading and the PCC sample are younger than the effect of the
        last command. A silent device is not waited for: it gets no credit."""
        if not link.is_online:
            return True
        if not link.settled():
            return False
        settle_ms = self._resources.settle_ms[index]
        flown_ms = (now_ms - link.taken_ms) & TICKS_MASK
        if flown_ms < settle_ms + self._site.meter_latency_ms:
            return False
        if flown_ms < _LONGEST_FLIGHT_MS and not self._has_arrived(index):
            return False
        return settle_ms <= (link.sampled_ms - link.taken_ms) & TICKS_MASK < HALF_RING_MS

    def _has_arrived(self, index):
        """Not under way any more: a vehicle takes seconds to start, and its own reading is
        older than the PCC's, so that its rise would look like somebody else's load."""
        if not self._is_steady[index]:
            return False
        resources = self._resources
        is_offered = resources.kind[index] == EVSE and resources.command_w[index] > 0
        return not is_offered or resources.power_w[index] > 0

    def call_roll(self, events):
        """An event for each device that has come or gone since the last call."""
        if not self._is_roll_due:
            return
        self._is_roll_due = False
        is_online = self._resources.is_online
        for index in range(self._resources.count):
            if is_online[index] != self._was_online[index]:
                self._was_online[index] = is_online[index]
                events.add(E_DEVICE_BACK if is_online[index] else E_DEVICE_LOST, index)
