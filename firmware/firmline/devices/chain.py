# SPDX-License-Identifier: MIT
"""Finds SunSpec models: follows the chain of (id, length) headers from a base address.

The base is the "SunS" marker or a model of the chain. A fixed map (no models) has the one slot 0
at register 0. Called by devices.link; allocates nothing after construction.
"""

from firmline.core.units import const

SEARCHING = const(0)
FOUND = const(1)
MISSING = const(2)

_SUNS_HIGH = const(0x5375)
_SUNS_LOW = const(0x6E53)
_END_MODEL = const(0xFFFF)
_LAST_HEADER = const(65534)
_MOST_MODELS = const(40)


class ModelChain:
    """`models`: (first id, last id, least length, is required) for each slot."""

    def __init__(self, models, base):
        self._models = models
        self._base = base
        self._seen = 0
        self.address = base  # of the next header to read: 2 registers
        self.bases = [0] * (len(models) or 1)

    def restart(self):
        self.address = self._base
        self._seen = 0
        for k in range(len(self.bases)):
            self.bases[k] = 0

    def is_absent(self, slot):
        """An optional model that the device does not have."""
        return len(self._models) > 0 and self.bases[slot] == 0

    def take(self, model, length):
        """Take the header read at `address`: SEARCHING, FOUND or MISSING."""
        if model == _SUNS_HIGH and length == _SUNS_LOW:
            self.address += 2
            return SEARCHING
        self._seen += 1
        self._keep(model, length)
        self.address += length + 2
        if self._has_all(False):
            return FOUND
        if model == _END_MODEL or self.address > _LAST_HEADER or self._seen >= _MOST_MODELS:
            return FOUND if self._has_all(True) else MISSING
        return SEARCHING

    def _keep(self, model, length):
        for k in range(len(self._models)):
            wanted = self._models[k]
            if wanted[0] <= model <= wanted[1] and length >= wanted[2] and not self.bases[k]:
                self.bases[k] = self.address

    def _has_all(self, only_required):
        for k in range(len(self._models)):
            if self.bases[k] == 0 and (self._models[k][3] or not only_required):
                return False
        return True
