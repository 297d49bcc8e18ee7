# SPDX-License-Identifier: MIT
"""Proposes, in this order: loads, storage, generation. Proposals only: the guard decides.

Called by the cycle with every new sample. The loops over resources are in shares.py.
"""

from firmline.core.loads import Loads
from firmline.core.shares import open_with_margin
from firmline.core.snapshot import watts_array
from firmline.core.supply import Supply

# `books`, shared by the three: 0..3 what is left on each axis while power is given out, 4 the
# number of axes, 5 the margin in permille, 6..9 what the import limit leaves beside the
# uncontrolled power and the margin, 10..13 that margin, 14..21 the same for export, 22..25 weights


class Allocator:
    def __init__(self, site, resources):
        self._books = watts_array(26)
        self._books[4] = site.axes
        self._books[5] = site.margin_permille
        self._loads = Loads(site, resources, self._books)
        self._supply = Supply(site, resources, self._books)

    def propose(self, snapshot, limits, balance, now_ms):
        """Fill `resources.proposal_w` from the newest balance and the limits in force."""
        open_with_margin(self._books, 14, limits.low_w, balance.export_w, -1)
        open_with_margin(self._books, 6, limits.high_w, balance.import_w, 1)
        self._loads.propose(now_ms)
        self._supply.propose(snapshot.axis_w[0], now_ms)
