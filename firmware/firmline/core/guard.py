# SPDX-License-Identifier: MIT
"""The safety case: the only way from a proposal to an actuator.

The allocator may be wrong in any way; whatever it proposes, after `Guard.dispose`
 G1  every command is inside its commissioned range (a load: 0 or min..max), else it is 0;
 G2  without a fresh sample nothing is looser than before; without any sample every resource is at
     its fallback value, and at 0 where the limit in force is below firm;
 G3  uncontrolled power plus the worst case of all commands is inside the limit in force, on every
     axis and in both directions; what does not fit is cut, last resource first;
 G4  an exceedance that lasts overrides every model: minimum, pause, everything off;
 G5  a tripped or faulty controller commands 0.
It knows no policy, has no memory but the commands in force, and is called once a cycle with
`resources.proposal_w`; the result is `resources.command_w`. Hazards H-01..H-05. What runs in every
cycle (range, books, cuts) is arithmetic over arrays, in ledger.py.
"""

from firmline.core.escalation import PAUSE, TO_MINIMUM
from firmline.core.ledger import book_given, check_range, cut, open_books, publish
from firmline.core.mode import FALLBACK, HOLD, NORMAL, START
from firmline.core.snapshot import BATTERY, EVSE, PV, RELAY, watts_array
from firmline.core.units import AXES, const

RANGE = const(1)
BUDGET_IMPORT = const(2)
BUDGET_EXPORT = const(4)
HELD = const(8)
FELL_BACK = const(16)
STAGE = const(32)
TRIPPED = const(64)


class Guard:
    """`reasons`: bits of what the last `dispose` had to enforce, 0 if nothing."""

    def __init__(self, site, resources):
        self._site = site
        self._resources = resources
        self._table = resources.table
        self._new_w = resources.new_w
        self._left_w = watts_array(AXES + 1)
        self._left_w[AXES] = site.axes
        self.reasons = 0

    def dispose(self, mode, limits, balance, stage_import, stage_export):
        """Turn proposals into commands. Never raises, never allocates."""
        self.reasons = 0
        if mode == NORMAL or mode == HOLD:
            if check_range(self._table):
                self.reasons = RANGE
            if mode == HOLD:
                self._hold()
            if stage_import >= TO_MINIMUM or stage_export >= TO_MINIMUM:
                self._apply_stages(stage_import, stage_export)
            self._keep_inside(limits, balance)
        elif mode == START or mode == FALLBACK:
            self._fall_back(limits)
        else:
            self._turn_off()
        publish(self._table)

    def _hold(self):
        """Late sample: no load and no generator looser than before, a battery as before."""
        resources = self._resources
        for index in range(resources.count):
            before_w = resources.command_w[index]
            wanted_w = self._new_w[index]
            if wanted_w != before_w and (
                resources.kind[index] == BATTERY or abs(wanted_w) > abs(before_w)
            ):
                self._new_w[index] = before_w
                self.reasons |= HELD

    def _keep_inside(self, limits, balance):
        """G3. A cut in one direction may take relief from a conductor in the other: then both are
        looked at again, and if they chase each other, export is settled without any relief."""
        self._spend(1, limits.high_w, balance.import_w, True)
        if not self._spend(-1, limits.low_w, balance.export_w, True):
            return
        if not self._spend(1, limits.high_w, balance.import_w, True):
            return
        if self._spend(-1, limits.low_w, balance.export_w, True):
            self._spend(-1, limits.low_w, balance.export_w, False)
            self._spend(1, limits.high_w, balance.import_w, True)

    def _spend(self, sign, limit_w, uncontrolled_w, has_relief):
        """One direction; `sign` -1 mirrors every power, so that one rule serves both. True if
        something had to be cut."""
        left_w = self._left_w
        open_books(left_w, limit_w, uncontrolled_w, sign)
        book_given(self._table, left_w, sign, has_relief)
        if not cut(self._table, left_w, sign):
            return False
        self.reasons |= BUDGET_IMPORT if sign > 0 else BUDGET_EXPORT
        return True

    def _apply_stages(self, stage_import, stage_export):
        self.reasons |= STAGE
        for index in range(self._resources.count):
            if stage_import >= TO_MINIMUM:
                self._relieve_import(index, stage_import)
            if stage_export >= TO_MINIMUM:
                self._relieve_export(index, stage_export)

    def _relieve_import(self, index, stage):
        kind = self._resources.kind[index]
        if kind == EVSE:
            limit_w = 0 if stage >= PAUSE else self._resources.min_w[index]
            self._new_w[index] = min(self._new_w[index], limit_w)
        elif kind == BATTERY:
            self._new_w[index] = min(self._new_w[index], 0)

    def _relieve_export(self, index, stage):
        kind = self._resources.kind[index]
        if kind == PV:
            limit_w = 0 if stage >= PAUSE else self._resources.fallback_w[index]
            self._new_w[index] = max(self._new_w[index], limit_w)
        elif kind == BATTERY:
            self._new_w[index] = max(self._new_w[index], 0)

    def _fall_back(self, limits):
        """Open loop: commissioned values, valid with the firm limits; 0 where less is allowed."""
        resources = self._resources
        self.reasons |= FELL_BACK
        for index in range(resources.count):
            wanted_w = resources.fallback_w[index]
            if wanted_w > 0 and limits.high_w[0] < self._site.firm_import_w:
                wanted_w = 0
            if wanted_w < 0 and -limits.low_w[0] < self._site.firm_export_w:
                wanted_w = 0
            if resources.is_protected[index]:
                wanted_w = resources.high_w[index]
            self._new_w[index] = wanted_w

    def _turn_off(self):
        resources = self._resources
        self.reasons |= TRIPPED
        for index in range(resources.count):
            is_kept = resources.kind[index] == RELAY and resources.is_protected[index]
            self._new_w[index] = resources.high_w[index] if is_kept else 0
