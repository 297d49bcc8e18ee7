# SPDX-License-Identifier: MIT
"""The sums over one window of one converter input: machine code on the RP2040, Python elsewhere.

A window is 512 groups of `step` samples, one of each input, 12 bits each. No sum passes 2**30 as
long as offsets lie within 1,600..2,500 (devices/ct.py sees to it): a long sum is kept in two
words, high * 2**14 + low. host_tools/compile.py marks the functions as viper; both forms give the
same (tests/pico/test_pico_ct.py).
"""

from firmline.core.units import ptr16, ptr32

# work: [0] offset of the input; what comes out: [1] sum of x, [2] and [3] sum of x * x, [4] least
# and [5] most raw value. For the product: [6] offset of the voltage, [7] where its next sample
# lies, [8] the one before, [9] weight of the next, of 4; comes out: [10] and [11] sum of x * 4 v


def square_sums(samples: ptr16, start: int, step: int, work: ptr32):
    """One input on its own. start: index of its first sample."""
    offset = int(work[0])
    total = 0
    high = 0
    low = 0
    least = 4095
    most = 0
    at = start
    block = 0
    while block < 8:
        squares = 0
        end = at + 64 * step
        while at < end:
            raw = int(samples[at])
            if raw < least:
                least = raw
            if raw > most:
                most = raw
            x = raw - offset
            total += x
            squares += x * x
            at += step
        high += squares >> 14
        low += squares & 16383
        block += 1
    work[1] = total
    work[2] = high
    work[3] = low
    work[4] = least
    work[5] = most


def product_sums(samples: ptr16, first: int, start: int, step: int, work: ptr32):
    """One input times the voltage. The converter takes one after the other, so the voltage of the
    same instant is weighted between its two samples around it; first: index where the window
    begins, which holds whole cycles: beyond one end it goes on at the other."""
    offset = int(work[0])
    offset_v = 4 * int(work[6])
    near = int(work[7])
    far = int(work[8])
    weight = int(work[9])
    span = 512 * step
    high = 0
    low = 0
    at = start
    block = 0
    while block < 16:
        products = 0
        end = at + 32 * step
        while at < end:
            a = at + near
            if a < first:
                a += span
            if a >= first + span:
                a -= span
            b = at + far
            if b < first:
                b += span
            if b >= first + span:
                b -= span
            v = weight * int(samples[a]) + (4 - weight) * int(samples[b]) - offset_v
            products += (int(samples[at]) - offset) * v
            at += step
        high += products >> 14
        low += products & 16383
        block += 1
    work[10] = high
    work[11] = low
