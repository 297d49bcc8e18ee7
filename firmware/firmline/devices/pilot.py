# SPDX-License-Identifier: MIT
"""Control pilot of an EVSE: the duty cycle that offers a current to the vehicle.

Source: SAE J1772 and IEC 61851-1 annex A, shaped after their published table: 10 % to 85 % of a
1 kHz square wave are 0.6 A a percent, 85 % to 96 % are 2.5 A a percent above 64 %. A steady high
level offers nothing. A building block: the configuration does not offer it yet.
"""

from firmline.core.units import const

PILOT_HZ = const(1000)
NO_OFFER = const(1000)  # permille: steady +12 V

_LEAST_MA = const(6000)
_BEND_MA = const(51000)
_MOST_MA = const(80000)


def duty_permille(offer_ma):
    """Permille of +12 V for `offer_ma`, rounded to offer less, never more. Below 6 A: no offer;
    above 80 A: 80 A."""
    if offer_ma < _LEAST_MA:
        return NO_OFFER
    if offer_ma <= _BEND_MA:
        return offer_ma // 60
    if offer_ma > _MOST_MA:
        offer_ma = _MOST_MA
    return 640 + offer_ma // 250
