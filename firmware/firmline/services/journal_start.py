# SPDX-License-Identifier: MIT
"""Makes the journal from what is stored, once at start; nothing here is needed afterwards.

It must never fail for what the files hold: what cannot be used counts as nothing, and is told.
Called by the app. Hazards H-04, H-13.
"""

import struct
from array import array

from firmline.core.mode import TRIPPED
from firmline.services import eventlog
from firmline.services import journal as j
from firmline.services import journal_save as saves
from firmline.services.excursions import Excursions


def open_journal(controller, files, pins, is_service, record_cause):
    """pins: of each resource, None for none. is_service: an installer is at the device, which
    ends a lock-out. A site that is locked out is set TRIPPED."""
    counts = array("i", [0] * j.COUNTERS)
    size = 4 * j.COUNTERS
    state = saves.open_state(files)
    kept = saves.open_events(files)
    payload = bytearray(size)
    if state.read(payload) == size:
        counts = array("i", struct.unpack(saves.FORMAT, payload))
    kept.find()
    if state.refused or kept.refused:
        controller.events.add(eventlog.E_STORE, state.refused + kept.refused)
    counts[j.BOOTS] = min(counts[j.BOOTS] + 1, j.MOST)
    is_unlocked = is_service and _unlock(counts, controller.events)
    journal = j.Journal(controller, counts, files, record_cause)
    journal.watch(_excursions(controller, counts), _relays(pins, counts))
    if counts[j.IS_LOCKED]:
        controller.cycle.mode = TRIPPED
        controller.events.add(eventlog.E_LOCKED, counts[j.TRIPS])
    if is_unlocked:
        journal.hurry()
    return journal


def _unlock(counts, events):
    """True if there was a lock-out. The count of trips starts again."""
    if not counts[j.IS_LOCKED]:
        return False
    counts[j.IS_LOCKED] = 0
    for k in range(j.LOCK_TRIPS):
        counts[j.LAST_TRIPS + k] = 0
    counts[j.UNLOCKS] = min(counts[j.UNLOCKS] + 1, j.MOST)
    events.add(eventlog.E_UNLOCKED, 0)
    return True


def _excursions(controller, counts):
    cycle = controller.cycle
    rest = (cycle.limits, controller.snapshot.axis_w, counts)
    return (
        Excursions(1, cycle.import_clock, *rest, j.IMPORT, controller.events),
        Excursions(-1, cycle.export_clock, *rest, j.EXPORT, controller.events),
    )


def _relays(pins, counts):
    """(resource, place in counts) of each: a relay keeps its count while it keeps its pin. With
    more than 16 the rest are not counted."""
    relays = []
    for index in range(len(pins)):
        if pins[index] is not None:
            place = _place((pins[index] + 1) << 24, counts)
            if place:
                relays.append((index, place))
    return relays


def _place(mark, counts):
    for match in (mark, 0):
        for at in range(j.RELAYS, j.RELAYS + j.RELAY_PLACES):
            if counts[at] >> 24 << 24 == match:
                counts[at] |= mark
                return at
    return 0
