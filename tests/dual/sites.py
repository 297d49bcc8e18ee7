# SPDX-License-Identifier: MIT
"""Small builders of sites, resources and samples for the core tests, and what they all need.

Three-phase site unless said otherwise: 230 V, firm 20 kW import, 10 kW export, 40 A (9,200 W) a
conductor. The clock starts 60 s before the 2**30 ms wrap.
"""

from firmline.core.snapshot import Resources, Site, Snapshot

RING = 1 << 30  # needs the heap on a 32-bit interpreter; MASK does not
MASK = 0x3FFFFFFF
START_MS = RING - 60000

EVSE = 0
BATTERY = 1
PV = 2
RELAY = 3

START = 0
NORMAL = 1
HOLD = 2
FALLBACK = 3
TRIPPED = 4
SAFE = 5

L1 = 1
L2 = 2
L3 = 4
L12 = 3
L123 = 7


def at(ms):
    """The tick `ms` after the start of the test, on the ring."""
    return (START_MS + ms) & MASK


def make_site(phases=3, import_w=20000, export_w=10000, conductor_w=9200, voltage_dv=2300):
    return Site(phases, voltage_dv, import_w, export_w, conductor_w)


def evse(mask=L123, high_w=7360, min_w=1380, fallback_w=0):
    return (EVSE, mask, 0, min_w, high_w, fallback_w)


def battery(mask=L123, charge_w=5000, discharge_w=5000, fallback_w=0):
    return (BATTERY, mask, -discharge_w, 0, charge_w, fallback_w)


def pv(mask=L123, rated_w=8000, fallback_w=0):
    return (PV, mask, -rated_w, 0, 0, -fallback_w)


def relay(mask=L123, load_w=3000, fallback_w=0):
    return (RELAY, mask, 0, load_w, load_w, fallback_w)


def make_resources(rows, protected=()):
    """Resources from rows of the builders above; online, wanting, commands and powers 0."""
    resources = Resources(len(rows))
    for index in range(len(rows)):
        kind, mask, low_w, min_w, high_w, fallback_w = rows[index]
        resources.add(index, kind, mask, low_w, min_w, high_w, fallback_w)
        resources.is_online[index] = 1
        resources.wants[index] = 1
    for index in protected:
        resources.is_protected[index] = 1
    return resources


def fill(values, new):
    """Copy `new` into the array `values`."""
    for index in range(len(new)):
        values[index] = new[index]


def make_snapshot(total_w=0, l1_w=0, l2_w=0, l3_w=0):
    snapshot = Snapshot()
    fill(snapshot.axis_w, (total_w, l1_w, l2_w, l3_w))
    return snapshot


class FixedLimits:
    """Stands for Limits: what the guard and the allocator read of it."""

    def __init__(self, high_w=(20000, 9200, 9200, 9200), low_w=(-10000, -9200, -9200, -9200)):
        self.high_w = list(high_w)
        self.low_w = list(low_w)


class FixedBalance:
    """Stands for Balance: uncontrolled power as the test wants it."""

    def __init__(self, import_w=(0, 0, 0, 0), export_w=None):
        self.import_w = list(import_w)
        self.export_w = list(import_w if export_w is None else export_w)


class Lcg:
    """Pseudo-random ints that are the same on every runtime; all values below 2**30."""

    def __init__(self, seed):
        self._state = seed & 0xFFFF

    def below(self, count):
        """0..count-1, count up to 2**29. The low bits of a short LCG are thrown away."""
        value = 0
        for _ in range(3):
            self._state = (self._state * 4093 + 12829) & 0x3FFFF
            value = (value << 10 | self._state >> 8) & 0x1FFFFFFF
        return value % count

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def pick(self, choices):
        return choices[self.below(len(choices))]
