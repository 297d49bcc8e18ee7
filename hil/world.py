# SPDX-License-Identifier: MIT
"""The bench's time: one event queue on integer microseconds.

Everything that happens on the virtual bench is a callback of this queue, so a run is a pure
function of its scenario and seed. Nothing here knows what a plant or a wire is. The wall-clock
bench drives the same object by calling `run_until` with the host's clock.
"""

from heapq import heappop, heappush


class World:
    """Event queue. `now_us` counts from 0 and never goes back; ties run in order of scheduling."""

    __slots__ = ("now_us", "_queue", "_scheduled")

    def __init__(self):
        self.now_us = 0
        self._queue = []
        self._scheduled = 0

    def at(self, t_us, fn, *args):
        """Run fn(*args) at t_us. The past is refused: the plant cannot be rewound."""
        if t_us < self.now_us:
            raise ValueError(f"cannot schedule at {t_us} us, it is already {self.now_us} us")
        self._scheduled += 1
        heappush(self._queue, (t_us, self._scheduled, fn, args))

    @property
    def next_us(self):
        """Time of the next event, None when nothing is scheduled."""
        return self._queue[0][0] if self._queue else None

    def run_until(self, t_us):
        """Run every event due at or before t_us, then stand at t_us."""
        queue = self._queue
        while queue and queue[0][0] <= t_us:
            now_us, _, fn, args = heappop(queue)
            self.now_us = now_us
            fn(*args)
        if t_us > self.now_us:
            self.now_us = t_us
