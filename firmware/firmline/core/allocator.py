# SPDX-License-Identifier: MIT
"""Proposes, in this order: loads, storage, generation. Proposals only: the guard decides.

Called by the cycle with every new sample.
"""

from firmline.core.loads import Loads
from firmline.core.pacing import Margins
from firmline.core.supply import Supply


class Allocator:
    def __init__(self, site, resources):
        self._margins = Margins(site)
        self._loads = Loads(site, resources, self._margins)
        self._supply = Supply(site, resources, self._margins)

    def propose(self, snapshot, limits, balance, now_ms):
        """Fill `resources.proposal_w` from the newest balance and the limits in force."""
        self._margins.update(limits)
        self._loads.propose(limits, balance, now_ms)
        self._supply.propose(snapshot, limits, balance, now_ms)
