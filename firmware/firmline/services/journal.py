# SPDX-License-Identifier: MIT
"""What outlives a restart: counters and lock-outs ("state") and the last events ("events").

When: docs/persistence.md. Where: two generations each (services/store.py). A save stops everything
for as long as the flash takes (on an RP2040 with interrupts off), so it waits for a moment in
which no line has anything under way or due for 50 ms; after 4 s the end of any transaction will
do, after 8 s any moment: a busy line must not starve the store. One step a cycle. A fault of the
disk is counted, logged and tried again in 15 min; the controller goes on without.

The fourth trip within 30 days of uptime locks the site out: it starts tripped until an installer
starts it with the service jumper fitted (the shape of ENA EREC G100). Hazards H-04, H-13.
Called by the app at the end of a cycle; allocates only while it saves.
"""

import gc
import struct
from array import array

from firmline.core.escalation import TO_MINIMUM
from firmline.core.mode import TRIPPED
from firmline.core.units import const
from firmline.services import eventlog
from firmline.services.excursions import Excursions
from firmline.services.store import TwoGenerations

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

STATE_SCHEMA = const(1)
EVENTS_SCHEMA = const(1)
STATE_STEPS = {}  # {schema: function that makes the payload of the next}: services/store.py
EVENT_BYTES = const(12)  # boot u16, code u16, uptime_s u32, value i32; oldest first
KEPT_EVENTS = const(32)  # with its head still small enough to lie in littlefs's directory

SAVE_S = const(900)
UPTIME_SAVE_S = const(3600)
FIRST_SAVE_S = const(60)
EVENTS_SAVE_S = const(600)
EVENTS_GAP_S = const(900)
MANY_EVENTS = const(16)

_LOCK_TRIPS = const(3)
_LOCK_MIN = const(43200)  # 30 days
_REST_MS = const(50)
_BETWEEN_S = const(4)
_ANY_S = const(8)
_MOST = const(0x1FFFFFFF)
_NOTHING = const(0)
_STATE = const(1)
_EVENTS = const(2)
_COLLECT = const(4)
_FORMAT = "<35i"


class Journal:
    """controller: its cycle, events, resources and buses are read; a locked site is set TRIPPED.
    pins: of each resource, None for none. failures: saves that came to nothing."""

    def __init__(self, controller, files, pins, record_cause):
        self._cycle = controller.cycle
        self._events = controller.events
        self._resources = controller.resources
        self._buses = controller.buses
        self._record_cause = record_cause
        self.counts = array("i", [0] * COUNTERS)
        self._state = TwoGenerations(files, "state", STATE_SCHEMA, 4 * COUNTERS, STATE_STEPS)
        self._kept = TwoGenerations(files, "events", EVENTS_SCHEMA, EVENT_BYTES * KEPT_EVENTS)
        self.failures = 0
        self._load()
        self._excursions = self._open_excursions(controller.snapshot.axis_w)
        self._place_relays(pins)
        self._is_tripped = False
        self._fallbacks = 0
        self._is_changed = True  # a boot more
        self._is_urgent = False
        self._is_failing = False
        self._start_times()

    def _start_times(self):
        self._due = _NOTHING
        self._due_s = 0
        self._seen = 0  # events looked at ...
        self._written = 0  # ... and stored
        self._pending = 0
        self._pending_s = 0
        self._look_s = 0
        self._state_s = FIRST_SAVE_S - SAVE_S  # when it was last saved
        self._events_s = -EVENTS_GAP_S

    def _load(self):
        counts = self.counts
        payload = bytearray(4 * COUNTERS)
        if self._state.read(payload) == len(payload):
            stored = struct.unpack(_FORMAT, payload)
            for k in range(COUNTERS):
                counts[k] = stored[k]
        self._kept.find()
        if self._state.refused or self._kept.refused:
            self._events.add(eventlog.E_STORE, self._state.refused + self._kept.refused)
        self._start_min = counts[UPTIME_MIN]
        counts[BOOTS] = min(counts[BOOTS] + 1, _MOST)

    def _open_excursions(self, axis_w):
        cycle = self._cycle
        rest = (cycle.limits, axis_w, self.counts)
        return (
            Excursions(1, cycle.import_clock, *rest, IMPORT, self._events),
            Excursions(-1, cycle.export_clock, *rest, EXPORT, self._events),
        )

    def _place_relays(self, pins):
        """A relay keeps its count while it keeps its pin; with more than 16 the rest have none."""
        self._relays = []
        self._places = []
        for index in range(len(pins)):
            if pins[index] is not None:
                place = self._place((pins[index] + 1) << 24)
                if place:
                    self._relays.append(index)
                    self._places.append(place)
        self._was_on = bytearray(len(self._relays))

    def _place(self, mark):
        for match in (mark, 0):
            for at in range(RELAYS, RELAYS + RELAY_PLACES):
                if self.counts[at] >> 24 << 24 == match:
                    self.counts[at] |= mark
                    return at
        return 0

    def enforce_lock(self, is_service):
        """At start. `is_service`: an installer is at the device, which ends a lock-out."""
        counts = self.counts
        if counts[IS_LOCKED] and is_service:
            counts[IS_LOCKED] = 0
            for k in range(_LOCK_TRIPS):
                counts[LAST_TRIPS + k] = 0
            counts[UNLOCKS] = min(counts[UNLOCKS] + 1, _MOST)
            self._events.add(eventlog.E_UNLOCKED, 0)
            self._is_urgent = self._is_changed = True
        elif counts[IS_LOCKED]:
            self._cycle.mode = TRIPPED
            self._is_tripped = True
            self._events.add(eventlog.E_LOCKED, counts[TRIPS])

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
            if excursions.update(now_ms):
                self._is_changed = True
        if self._cycle.mode == TRIPPED and not self._is_tripped:
            self._is_tripped = True
            self._count_trip()
        self._watch_relays()

    def _watch_relays(self):
        for k in range(len(self._relays)):
            is_on = self._resources.command_w[self._relays[k]] > 0
            if is_on != self._was_on[k]:
                self._was_on[k] = is_on
                self.counts[self._places[k]] += 1
                self._is_changed = True

    def _count_trip(self):
        """The fourth within 30 days locks."""
        counts = self.counts
        counts[TRIPS] = min(counts[TRIPS] + 1, _MOST)
        self._tell_time()
        now_min = counts[UPTIME_MIN] + 1
        oldest_min = counts[LAST_TRIPS]
        if oldest_min and now_min - oldest_min <= _LOCK_MIN:
            counts[IS_LOCKED] = 1
            self._events.add(eventlog.E_LOCKED, counts[TRIPS])
        for k in range(_LOCK_TRIPS - 1):
            counts[LAST_TRIPS + k] = counts[LAST_TRIPS + k + 1]
        counts[LAST_TRIPS + _LOCK_TRIPS - 1] = now_min
        self._is_urgent = self._is_changed = True

    def _tell_time(self):
        self.counts[UPTIME_MIN] = min(self._start_min + self._events.now_s // 60, _MOST)

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
        since_s = now_s - self._state_s
        if self._is_urgent or since_s >= UPTIME_SAVE_S or (self._is_changed and since_s >= SAVE_S):
            due |= _STATE
        if self._pending and (self._is_urgent or self._are_events_due(now_s)):
            due |= _EVENTS
        self._is_urgent = False
        if due and not self._due:
            self._due_s = now_s
        self._due = due

    def _are_events_due(self, now_s):
        if now_s - self._events_s < EVENTS_GAP_S:
            return False
        return self._pending >= MANY_EVENTS or now_s - self._pending_s >= EVENTS_SAVE_S

    def _count_events(self):
        events = self._events
        if events.added - self._seen > events.capacity:
            self._seen = events.added - events.capacity
        while self._seen < events.added:
            if _is_kept(events.code_at(self._seen), events.value_at(self._seen)):
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
        if self._due & _STATE:
            self._due ^= _STATE
            self._try(self._save_state)
        elif self._due & _EVENTS:
            self._due ^= _EVENTS
            self._try(self._save_events)
        else:
            self._due = _NOTHING
            gc.collect()  # what the saves have left, now rather than in the midst of a cycle
            return
        self._due |= _COLLECT

    def _try(self, save):
        try:
            save()
        except (OSError, MemoryError) as error:
            self.failures += 1
            if not self._is_failing:
                self._events.add(eventlog.E_STORE, -1)
                self._record_cause("store: " + repr(error))
            self._is_failing = True
        else:
            self._is_failing = False

    def _save_state(self):
        self._state_s = self._look_s
        self._tell_time()
        payload = struct.pack(_FORMAT, *self.counts)
        self._state.write(payload, len(payload))
        self._is_changed = False

    def _save_events(self):
        """What is stored and the new ones, the last 32 of them."""
        self._events_s = self._look_s
        rows = []
        for number, time_s, code, value in self._events.since(self._written):
            if number < self._seen and _is_kept(code, value):
                rows.append((self.counts[BOOTS] & 0xFFFF, code, time_s, value))
        rows = rows[-KEPT_EVENTS:]
        payload = bytearray(EVENT_BYTES * KEPT_EVENTS)
        old_n = min(self._kept.length, EVENT_BYTES * (KEPT_EVENTS - len(rows)))
        n = max(0, self._kept.read_at(self._kept.length - old_n, payload, old_n))
        for row in rows:
            struct.pack_into("<HHIi", payload, n, *row)
            n += EVENT_BYTES
        self._kept.write(payload, n)
        self._written = self._seen
        self._pending = 0

    # For others

    def flush(self):
        """Before a restart that was asked for: everything, now."""
        self._look_s = self._events.now_s
        self._count_events()
        self._try(self._save_state)
        if self._pending:
            self._try(self._save_events)

    def events_before(self, offset, buffer, n):
        """Part of the stored events (EVENT_BYTES each, of earlier boots and of this one up to
        the last save): bytes read, 0 past the end, -1 for none."""
        return self._kept.read_at(offset, buffer, n)


def _is_kept(code, value):
    """Not every change of a limit, and of the stages only those that mean something."""
    if code == eventlog.E_STAGE:
        return value >= TO_MINIMUM
    return code != eventlog.E_LIMIT_CHANGED
