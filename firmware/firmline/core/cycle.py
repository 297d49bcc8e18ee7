# SPDX-License-Identifier: MIT
"""One control cycle: snapshot -> trust -> mode -> limits -> proposals -> guard -> commands.

`step` is called with every new PCC sample and at least every tick. It performs no I/O, never
raises and allocates nothing; the app carries `resources.command_w` to the devices.
"""

from firmline.core import mode as modes
from firmline.core.allocator import Allocator
from firmline.core.balance import Balance
from firmline.core.escalation import TRIP, Escalation
from firmline.core.freshness import FRESH, LATE, Freshness
from firmline.core.guard import Guard
from firmline.core.ledger import begin_cycle, beyond, start_flights
from firmline.core.limits import Limits
from firmline.core.units import const

_LONGEST_FLIGHT_MS = const(60000)  # who has not obeyed by then gets no credit and stops nobody


class Cycle:
    """Owns the control state. hold_ms / fallback_ms: two-stage trust in the PCC meter."""

    def __init__(self, site, resources, snapshot, hold_ms, fallback_ms):
        self._site = site
        self._resources = resources
        self._snapshot = snapshot
        self.limits = Limits(site)
        self.trust = Freshness(hold_ms, fallback_ms)
        self.balance = Balance(site, resources)
        self.allocator = Allocator(site, resources)
        self.guard = Guard(site, resources)
        self.import_clock = Escalation(site.response_ms)
        self.export_clock = Escalation(site.response_ms)
        self.mode = modes.START
        self.fallbacks = 0
        self.has_changed = True  # a command has; the app clears it when it has taken them over
        self._now_ms = 0

    def step(self, is_new_sample, now_ms):
        """Advance to `now_ms`. `is_new_sample`: the snapshot has changed since the last call."""
        self._now_ms = now_ms
        trust = self.trust
        if is_new_sample:
            trust.mark(now_ms)
        self._change_mode(trust.update(now_ms))
        self._watch(now_ms)
        begin_cycle(self._resources.table, now_ms, _LONGEST_FLIGHT_MS)
        if self.mode == modes.NORMAL and (is_new_sample or self.limits.is_changed):
            self.balance.update(self._snapshot)
            self.allocator.propose(self._snapshot, self.limits, self.balance, now_ms)
        self._dispose()

    def fail(self):
        """The program no longer trusts itself: everything off, latched."""
        self.mode = modes.SAFE
        self._dispose()

    def _change_mode(self, trust):
        if trust == FRESH and self.mode == modes.NORMAL:
            return  # the table says so
        event = modes.ON_LOST
        if trust == FRESH:
            event = modes.ON_FRESH
        elif trust == LATE:
            event = modes.ON_LATE
        mode = modes.next_mode(self.mode, event)
        if mode == modes.FALLBACK and self.mode != modes.FALLBACK:
            self.fallbacks += 1
        self.mode = mode

    def _watch(self, now_ms):
        """Run the two exceedance clocks on the newest sample; the last stage trips."""
        limits = self.limits
        found = beyond(self._snapshot.axis_w, limits.high_w, limits.low_w, self._site.axes)
        if self.mode == modes.START or self.mode == modes.FALLBACK:
            found = 0  # blind
        if not (found or self.import_clock.stage or self.export_clock.stage):
            return  # no clock runs
        import_stage = self.import_clock.update(found & 1, now_ms)
        export_stage = self.export_clock.update(found & 2, now_ms)
        if import_stage == TRIP or export_stage == TRIP:
            if self._is_beyond_firm():
                self.mode = modes.next_mode(self.mode, modes.ON_TRIP)

    def _is_beyond_firm(self):
        """Only the commissioned limits may shut the site down: a head-end could otherwise do so
        with a limit below what the site cannot do without."""
        total_w = self._snapshot.axis_w[0]
        if total_w > self._site.firm_import_w or total_w < -self._site.firm_export_w:
            return True
        for axis in range(1, self._site.axes):
            if abs(self._snapshot.axis_w[axis]) > self.limits.high_w[axis]:
                return True
        return False

    def _dispose(self):
        """Through the guard; what it changed is in flight from now on."""
        self.guard.dispose(
            self.mode, self.limits, self.balance, self.import_clock.stage, self.export_clock.stage
        )
        if start_flights(self._resources.table, self._now_ms):
            self.has_changed = True
