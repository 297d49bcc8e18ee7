# SPDX-License-Identifier: MIT
"""How services.journal stores: imported for a save and dropped after it, as it costs 3 kB.

Every look at the files begins with `find`: what is in force is what they say, not what somebody
remembers. Called by the journal, its start and services.files; never in the midst of a cycle.
"""

import struct

from firmline.core.units import const
from firmline.services.journal import BOOTS, COUNTERS, EVENT_BYTES, KEPT_EVENTS, is_kept
from firmline.services.store import TwoGenerations

STATE_SCHEMA = const(1)
EVENTS_SCHEMA = const(1)
FORMAT = "<35i"

# {schema: function that makes the payload of the next}: services/store.py
STATE_STEPS = {}


def open_state(files):
    return TwoGenerations(files, "state", STATE_SCHEMA, 4 * COUNTERS, STATE_STEPS)


def open_events(files):
    return TwoGenerations(files, "events", EVENTS_SCHEMA, EVENT_BYTES * KEPT_EVENTS)


def save_state(files, counts):
    """OSError or MemoryError when that has failed."""
    state = open_state(files)
    state.find()
    payload = struct.pack(FORMAT, *counts)
    state.write(payload, len(payload))


def save_events(files, counts, events, first, end):
    """What is stored and the new ones, from sequence `first` to before `end`; the last 32 of
    them. OSError or MemoryError when that has failed."""
    kept = open_events(files)
    kept.find()
    rows = []
    for number, time_s, code, value in events.since(first):
        if number < end and is_kept(code, value):
            rows.append((counts[BOOTS] & 0xFFFF, code, time_s, value))
    rows = rows[-KEPT_EVENTS:]
    payload = bytearray(EVENT_BYTES * KEPT_EVENTS)
    old_n = min(kept.length, EVENT_BYTES * (KEPT_EVENTS - len(rows)))
    n = max(0, kept.read_at(kept.length - old_n, payload, old_n))
    for row in rows:
        struct.pack_into("<HHIi", payload, n, *row)
        n += EVENT_BYTES
    kept.write(payload, n)


def earlier_events(files, counts):
    """The stored events of earlier boots, which come before those of this one: bytes."""
    kept = open_events(files)
    kept.find()
    payload = bytearray(EVENT_BYTES * KEPT_EVENTS)
    stored = kept.read_at(0, payload, len(payload))
    n = 0
    while n < stored and payload[n] | payload[n + 1] << 8 != counts[BOOTS] & 0xFFFF:
        n += EVENT_BYTES
    return bytes(payload[:n])
