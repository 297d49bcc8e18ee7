# SPDX-License-Identifier: MIT
"""What outlives a restart: counters and lock-outs ("state") and the last events ("events").

When: docs/persistence.md. How: services/journal_save.py, loaded for a save and dropped after it.
Where: two generations each (services/store.py). A save stops everything for as long as the flash
takes (on an RP2040 with interrupts off), so it waits for a moment in which no line has anything
under way or due for 50 ms; after 4 s the end of any transaction will do, after 8 s any moment: a
busy line must not starve the store. One step a cycle, of which loading is the first. A fault of
the disk or a full heap is counted, logged and tried again in 15 min; the controller goes on.
What is urgent is written twice, so that both generations have it, and tried again in 10 s.

The fourth trip within 30 days of uptime locks the site out: journal_start.py sets it tripped
until an installer starts it with the service jumper fitted (the shape of ENA EREC G100).
Hazards H-04, H-13. Called by the app at the end of a cycle; allocates only while it saves.
"""

import gc
import sys

from firmline.core.escalation import TO_MINIMUM
from firmline.core.mode import TRIPPED
from firmline.core.units import const
from firmline.services import eventlog

# places in the counters, each an i32 of 0..2**29; the payload of "state" is this array
UPTIME_MIN = const(0)  # over all boots; a cut loses up to an hour of it
BOOTS = const(1)  # those that lasted a minute
FALLBACKS = const(2)
TRIPS = const(3)
IS_LOCKED = const(4)
UNLOCKS = const(5)  # by an installer
LAST_TRIPS = const(6)  # the last three: UPTIME_MIN + 1, 0 for none
IMPORT = const(9)  # excursions.py
EXPORT = const(14)
RELAYS = const(19)  # (pin + 1) << 24 | operations, 0 for an unused place
RELAY_PLACES = const(16)
COUNTERS = const(35)

EVENT_BYTES = const(12)  # boot u16, code u16, uptime_s u32, value i32; oldest first
KEPT_EVENTS = const(32)  # with its head still small enough to lie in littlefs's directory

_SAVE_S = const(900)
_UPTIME_SAVE_S = const(3600)
_FIRST_SAVE_S = const(60)
_EVENTS_SAVE_S = const(600)
_EVENTS_GAP_S = const(900)
_MANY_EVENTS = const(16)

LOCK_TRIPS = const(3)
_LOCK_MIN = const(43200)  # 30 days
_REST_MS = const(50)
_BETWEEN_S = const(4)
_ANY_S = const(8)
MOST = const(0x1FFFFFFF)
_NOTHING = const(0)
_STATE = const(1)
_EVENTS = const(2)
_COLLECT = const(4)
_RETRY_S = const(10)
_FAULTS = (OSError, MemoryError, ImportError, ValueError)  # made here: later there may be no heap
_MODULES = ("journal_save", "store")


class Journal:
    """Made by journal_start.open_journal. controller: its cycle, events, resources and buses are
    read. counts: see above. files: the contract of hal/files.py. failures: saves that came to
    nothing."""

    def __init__(self, controller, counts, files, record_cause):
        self._cycle = controller.cycle
        self._events = controller.events
        self._resources = controller.resources
        self._buses = controller.buses
        self._record_cause = record_cause
        self.counts = counts
        self._files = files
        self._saver = None  # services.journal_save while it is here
        self.failures = 0
        self._start_min = counts[UPTIME_MIN]
        self._is_tripped = counts[IS_LOCKED] > 0
        self._fallbacks = 0
        self._is_changed = True  # a boot more
        self._is_urgent = False
        self._owed = 0  # saves of what is urgent
        self._is_failing = False
        self._open_times()

    def _open_times(self):
        self._due = _NOTHING
        self._due_s = 0
        self._seen = 0  # events looked at ...
        self.written = 0  # ... and stored
        self._pending = 0
        self._pending_s = 0
        self._look_s = 0
        self._state_s = _FIRST_SAVE_S - _SAVE_S  # when it was last saved
        self._events_s = -_EVENTS_GAP_S

    def watch(self, excursions, relays):
        """excursions: one of each direction. relays: (resource, place in counts) of each."""
        self._excursions = excursions
        self._relays = relays
        self._was_on = bytearray(len(relays))

    def hurry(self):
        """Save within 10 s, twice: one file that is damaged then costs nothing."""
        self._is_urgent = self._is_changed = True
        self._owed = 2

    # In every cycle

    def poll(self, is_new, now_ms):
        """`is_new`: a sample of the PCC meter has just been used."""
        self._watch(now_ms)
        if self._events.now_s != self._look_s or self._is_urgent:
            self._look_s = self._events.now_s
            self._look()
        if self._due and self._may_save(is_new, now_ms):
            self._step()

    def _watch(self, now_ms):
        for excursions in self._excursions:
            if excursions.clock.stage or excursions.is_open:  # else a call a cycle for nothing
                if excursions.update(now_ms):
                    self._is_changed = True
        if self._cycle.mode == TRIPPED and not self._is_tripped:
            self._is_tripped = True
            self._count_trip()
        if self._relays:
            self._watch_relays()

    def _watch_relays(self):
        for k in range(len(self._relays)):
            relay = self._relays[k]
            is_on = self._resources.command_w[relay[0]] > 0
            if is_on != self._was_on[k]:
                self._was_on[k] = is_on
                self.counts[relay[1]] += 1
                self._is_changed = True

    def _count_trip(self):
        """The fourth within 30 days locks."""
        counts = self.counts
        counts[TRIPS] = min(counts[TRIPS] + 1, MOST)
        self._tell_time()
        now_min = counts[UPTIME_MIN] + 1
        oldest_min = counts[LAST_TRIPS]
        if oldest_min and now_min - oldest_min <= _LOCK_MIN:
            counts[IS_LOCKED] = 1
            self._events.add(eventlog.E_LOCKED, counts[TRIPS])
        for k in range(LOCK_TRIPS - 1):
            counts[LAST_TRIPS + k] = counts[LAST_TRIPS + k + 1]
        counts[LAST_TRIPS + LOCK_TRIPS - 1] = now_min
        self.hurry()

    def _tell_time(self):
        self.counts[UPTIME_MIN] = min(self._start_min + self._events.now_s // 60, MOST)

    # Once a second: what is due

    def _look(self):
        now_s = self._look_s
        fallbacks = self._cycle.fallbacks
        if fallbacks != self._fallbacks:
            self.counts[FALLBACKS] += fallbacks - self._fallbacks
            self._fallbacks = fallbacks
            self._is_changed = True
        self._count_events()
        due = self._due
        if self._owed and now_s - self._state_s >= _RETRY_S:
            self._is_urgent = True
        wait_s = _SAVE_S if self._is_changed else _UPTIME_SAVE_S
        if self._is_urgent or now_s - self._state_s >= wait_s:
            due |= _STATE
        if self._pending and (self._is_urgent or self._are_events_due(now_s)):
            due |= _EVENTS
        self._is_urgent = False
        if due and not self._due:
            self._due_s = now_s
        self._due = due

    def _are_events_due(self, now_s):
        if now_s - self._events_s < _EVENTS_GAP_S:
            return False
        return self._pending >= _MANY_EVENTS or now_s - self._pending_s >= _EVENTS_SAVE_S

    def _count_events(self):
        events = self._events
        if events.added - self._seen > events.capacity:
            self._seen = events.added - events.capacity
        while self._seen < events.added:
            if is_kept(events.code_at(self._seen), events.value_at(self._seen)):
                if not self._pending:
                    self._pending_s = self._look_s
                self._pending += 1
            self._seen += 1

    def _may_save(self, is_new, now_ms):
        waited_s = self._look_s - self._due_s
        if waited_s >= _ANY_S:
            return True
        cycle = self._cycle
        if cycle.mode != TRIPPED and (cycle.import_clock.stage or cycle.export_clock.stage):
            return False  # an exceedance is being fought
        return self._are_quiet(0 if waited_s >= _BETWEEN_S and is_new else _REST_MS, now_ms)

    def _are_quiet(self, rest_ms, now_ms):
        for bus in self._buses:
            if bus.is_busy() or bus.rest_ms(now_ms) < rest_ms:
                return False
        return True

    # Saving

    def _step(self):
        if self._due & (_STATE | _EVENTS) and not self._saver:
            self._try(self._load)
            if not self._saver:
                self._state_s = self._events_s = self._look_s
                self._due = _NOTHING
        elif self._due & _STATE:
            self._due ^= _STATE
            self._try(self._save_state)
        elif self._due & _EVENTS:
            self._due ^= _EVENTS
            self._try(self._save_events)
        else:
            self._due = _NOTHING
            self._drop()  # what the saves have left, now rather than in the midst of a cycle
            return
        self._due |= _COLLECT

    def _load(self):
        from firmline.services import journal_save

        self._saver = journal_save

    def _drop(self):
        self._saver = None
        package = __name__.rpartition(".")[0]
        for name in _MODULES:
            sys.modules.pop(package + "." + name, None)
            if hasattr(sys.modules[package], name):  # not if loading has failed
                delattr(sys.modules[package], name)
        gc.collect()

    def _try(self, save):
        try:
            save()
        except _FAULTS as error:
            self.failures += 1
            if not self._is_failing:
                self._events.add(eventlog.E_STORE, -1)
                try:
                    self._record_cause("store: " + repr(error))
                except _FAULTS:  # no heap for that either: the event says it
                    pass
            self._is_failing = True

    def _save_state(self):
        self._state_s = self._look_s
        self._tell_time()
        self._saver.save_state(self._files, self.counts)
        self._is_changed = self._is_failing = False
        if self._owed:
            self._owed -= 1
            if self._owed:
                self._due |= _STATE

    def _save_events(self):
        self._events_s = self._look_s
        self._saver.save_events(self._files, self.counts, self._events, self.written, self._seen)
        self.written = self._seen
        self._pending = 0
        self._is_failing = False

    # For others

    def stored(self):
        """The stored events of earlier boots, 12 bytes each. `written`: changes with them."""
        from firmline.services.journal_save import earlier_events

        return earlier_events(self._files, self.counts)

    def flush(self):
        """Before a restart that was asked for: everything, now."""
        self._look_s = self._events.now_s
        self._count_events()
        self._try(self._load)
        if self._saver:
            self._try(self._save_state)
            if self._owed:
                self._try(self._save_state)
            if self._pending:
                self._try(self._save_events)


def is_kept(code, value):
    """Not every change of a limit, and of the stages only those that mean something."""
    if code == eventlog.E_STAGE:
        return value >= TO_MINIMUM
    return code != eventlog.E_LIMIT_CHANGED
