# SPDX-License-Identifier: MIT
"""The vocabulary of the write frames, and the conversion of a command in watts to a raw value.

A frame is (slot, function, offset, words): `slot` the SunSpec model (0 where there is none),
function 16 or 6, `words` one entry per register: a literal 0..65535 or one of the names below.
Rounding goes toward zero: less current, less export, less battery power. Called by devices.link.
"""

from firmline.core.units import const, milliamps, mul_div

# words
SET_HIGH = const(-1)
SET_LOW = const(-2)  # also a whole 16-bit set point
MINUS_SET_LOW = const(-3)
FALLBACK_HIGH = const(-4)
FALLBACK_LOW = const(-5)
REVERSION_S_HIGH = const(-6)
REVERSION_S_LOW = const(-7)
REVERSION_MS = const(-8)  # at most 65,535
REVERSION_S_IF_SAFE = const(-9)  # 0 unless the option reversion_is_safe is set

# units of a set point
MILLIAMPS = const(0)  # per phase, from the device's share of the power
DECIAMPS = const(1)  # the same in 0.1 A, below 6 A written as 0
PERCENT_CAP = const(2)  # W supplied of the rating, unsigned
PERCENT_SUPPLIED = const(3)  # W supplied (> 0) or drawn (< 0) of the rating
WATTS_SUPPLIED = const(4)  # W supplied (> 0) or drawn (< 0)

_MIN_DECIAMPS = const(60)
_ACCURATE_RATING_W = const(100000)
_LIMIT = const(0x1FFFFFFF)


def percent_steps(power):
    """Raw value of 100 % at scale factor 10**power, 0 where it would be useless (-2..2 only)."""
    if power == -2:
        return 10000
    if power == -1:
        return 1000
    if power == 0:
        return 100
    return 10 if power == 1 else 1 if power == 2 else 0


def percent(power_w, rated_w, full):
    """floor(|power_w| / rated_w * full), at most `full`; keeps the sign. rated_w > 0."""
    size = -power_w if power_w < 0 else power_w
    if size >= rated_w:
        return -full if power_w < 0 else full
    while rated_w > _ACCURATE_RATING_W:  # keeps full * rated_w inside 2**30; errs to less
        rated_w = (rated_w + 9) // 10
        size //= 10
    size = mul_div(size, full, rated_w)
    return -size if power_w < 0 else size


def watts_scaled(power_w, power):
    """power_w / 10**power toward zero, saturated at +-2**29."""
    size = -power_w if power_w < 0 else power_w
    while power > 0:
        size //= 10
        power -= 1
    while power < 0:
        size = size * 10 if size <= _LIMIT // 10 else _LIMIT
        power += 1
    return -size if power_w < 0 else size


def encode(unit, power_w, link):
    """Raw set point for `power_w` in device sign (> 0 consumes).

    `link` gives rated (W), set_power (scale factor) and its product: phase_count, voltage_dv.
    """
    if unit == MILLIAMPS:
        return _milliamps(power_w, link.product) if power_w > 0 else 0
    if unit == DECIAMPS:
        raw = encode(MILLIAMPS, power_w, link) // 100
        return raw if raw >= _MIN_DECIAMPS else 0
    if unit == PERCENT_CAP:
        size = -power_w if power_w < 0 else 0
        return percent(size, link.rated, percent_steps(link.set_power))
    if unit == PERCENT_SUPPLIED:
        return percent(-power_w, link.rated, percent_steps(link.set_power))
    return watts_scaled(-power_w, link.set_power)


def _milliamps(power_w, product):
    return milliamps(power_w // product.phase_count, product.voltage_dv)


def can_encode(unit, link):
    """The rating and the scale factor that the unit needs are known and usable."""
    if unit == PERCENT_CAP or unit == PERCENT_SUPPLIED:
        return link.rated > 0 and percent_steps(link.set_power) > 0
    return True


def word_value(word, link):
    """Value of one register of a frame; the caller keeps the low 16 bits.

    `link` gives raw (the set point, encoded) and its product: reversion_s, timer_is_safe.
    """
    if word >= 0:
        return word
    if word == SET_HIGH or word == FALLBACK_HIGH:
        return link.raw >> 16
    if word == MINUS_SET_LOW:
        return -link.raw
    if word == REVERSION_S_HIGH:
        return link.product.reversion_s >> 16
    if word == REVERSION_S_LOW:
        return link.product.reversion_s
    if word == REVERSION_MS:
        return link.product.reversion_s * 1000 if link.product.reversion_s < 65 else 65000
    if word == REVERSION_S_IF_SAFE:
        return link.product.reversion_s if link.product.timer_is_safe else 0
    return link.raw  # SET_LOW, FALLBACK_LOW
