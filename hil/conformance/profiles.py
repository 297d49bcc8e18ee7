# SPDX-License-Identifier: MIT
"""Profiles: how long truth may be beyond the limit, shaped after public sources.

A shape, not a standard: the numbers are those that regulators, vendors or test procedures state
in public; no conformity with any of these is claimed. F: printed in the named source; S: second
hand. A profile adds its checks to those of each scenario that it judges.
"""

from hil.scenarios.model import Expect

# name -> (seconds beyond the limit, where the number is from)
PROFILES = {
    "design-target-10s": (10, "the design's own target, from the 2-10 s that BATRIES observes"),
    "ul1741crd-30s": (30, "open-loop response of certified PCS as BATRIES ch. V states it (F)"),
    "rule21-nem2-10s": (10, "California NEM2 paired storage, AL 6815-E (F)"),
    "ieee1547-lap": (30, "IEEE 1547-2018 limit active power, quoted by test code (S)"),
    "csip-aus": (15, "soft limit of AS/NZS 4777.2 as SAPN and CSIP-AUS cite it (F)"),
    "g100-issue2": (60, "UK EREC G100, back inside, as users of it report (S)"),
}
DEFAULT = "design-target-10s"


def checks(name):
    """The Expects that profile `name` adds to every scenario."""
    seconds, _ = PROFILES[name]
    return tuple(
        Expect(
            id=f"TC-{name}-{quantity}",
            metric=f"{quantity}_longest_excursion_s",
            requirement="M27",
            unit="s",
            max=seconds,
        )
        for quantity in ("import", "export", "current")
    )
