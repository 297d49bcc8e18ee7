# SPDX-License-Identifier: MIT
"""Operating mode: one transition table, so that every pair of mode and event has an answer.

START     powered up, no sample yet: every resource at its fallback value
NORMAL    fresh samples: the allocator proposes
HOLD      the sample is late: commands may only tighten
FALLBACK  the sample is lost: every resource at its fallback value
TRIPPED   the limit could not be held in the allowed time: everything off, latched until restart
SAFE      the configuration or the program is not to be trusted: everything off, latched
"""

from firmline.core.units import const

START = const(0)
NORMAL = const(1)
HOLD = const(2)
FALLBACK = const(3)
TRIPPED = const(4)
SAFE = const(5)

ON_FRESH = const(0)
ON_LATE = const(1)
ON_LOST = const(2)
ON_TRIP = const(3)
ON_FAULT = const(4)
EVENTS = const(5)

#        fresh  late  lost  trip  fault
_NEXT = bytes(
    (
        (1, 0, 0, 0, 5)  # START
        + (1, 2, 3, 4, 5)  # NORMAL
        + (1, 2, 3, 4, 5)  # HOLD
        + (1, 3, 3, 3, 5)  # FALLBACK
        + (4, 4, 4, 4, 5)  # TRIPPED
        + (5, 5, 5, 5, 5)  # SAFE
    )
)


def next_mode(mode, event):
    """The mode after `event`; an unknown mode or event is SAFE."""
    if mode < 0 or mode > SAFE or event < 0 or event >= EVENTS:
        return SAFE
    return _NEXT[mode * EVENTS + event]


def may_run(mode):
    """The site may be connected: neither tripped nor at fault, nor anything unknown."""
    return START <= mode <= FALLBACK
