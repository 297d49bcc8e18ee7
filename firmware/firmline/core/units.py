# SPDX-License-Identifier: MIT
"""Integers, ticks and conversions shared by every layer. Pure; never raises on values in range.

All quantities are small ints, |value| < 2**30, because a larger int is a heap object on a
32-bit MicroPython. Formulas that could pass that bound say how they avoid it.
"""

from array import array

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython

    def const(value):
        return value


# In annotations: what host_tools/compile.py makes machine code of. Elsewhere plain sequences.
ptr8 = bytearray
ptr16 = array
ptr32 = array

TICKS_MASK = const(0x3FFFFFFF)
NEVER_MS = const(0x3FFFFFFF)
HALF_RING_MS = const(0x1FFFFFFF)
MAX_W = const(0x1FFFFFFF)
AXES = const(4)  # 0: total at the PCC; 1..3: conductors L1..L3


def elapsed_ms(now_ms, then_ms):
    """Milliseconds from then to now on the 2**30 ring (12.4 days); latch ages within half."""
    return (now_ms - then_ms) & TICKS_MASK


def remaining_ms(now_ms, then_ms, period_ms):
    """Milliseconds until `then + period`, 0 when it has passed. All within half a ring."""
    left = period_ms - ((now_ms - then_ms) & TICKS_MASK)
    return left if left > 0 else 0


def clamp(value, low, high):
    """`value` moved into low..high; `high` wins when the two contradict."""
    if value < low:
        value = low
    return high if value > high else value


def mul_div(a, b, c):
    """floor(a * b / c) without a product beyond 2**30: needs c > 0 and |b| * c < 2**30."""
    quotient = a // c
    return quotient * b + (a - quotient * c) * b // c


def watts(current_ma, voltage_dv):
    """Nominal watts of a conductor: mA at deci-volts. |current| <= 5,000 A, voltage <= 400 V."""
    return mul_div(current_ma, voltage_dv, 10000)


def milliamps(power_w, voltage_dv):
    """mA that carry `power_w` on one conductor, rounded toward zero: offers never round up.

    |power| < 2**29 W, 100 V <= voltage <= 400 V (1,000..4,000 dV).
    """
    if power_w < 0:
        return -mul_div(-power_w, 10000, voltage_dv)
    return mul_div(power_w, 10000, voltage_dv)
