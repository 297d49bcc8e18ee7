# SPDX-License-Identifier: MIT
"""The arithmetic of balance, guard and cycle: plain loops over arrays, no policy, no objects.

On the RP2040 host_tools/compile.py makes machine code (viper) of every function here: 20 times
faster than bytecode, and it must give the same numbers (tests/pico/test_pico_kernels.py). Hence:
annotated parameters, all of them needed, only ints and arrays of ints, no exceptions. A branch is
30 bytes of machine code: `x & x >> 31` is the smaller of x and 0, `x & ~(x >> 31)` the larger.

`table` is `Resources.table`, row after row of one entry per resource: snapshot.py says what the
rows are; table[0] is the number of resources. `left`: W that are left on each of 4 axes, then how
many axes the site has. Axis 0 is the total at the PCC, 1..3 the conductors; bit 0 of a mask is L1.

Machine code wraps at 2**31. Axis values are within +-2**28 W (app), limits, ratings
(config_fields) and readings of a device (`take_out`) within 10**7 W. What is left on an axis is a
limit - sample + credits - draws: with all ratings together below 1.6 * 10**8 W that stays within
6 * 10**8, and three times that, on three wires, within 1.8 * 10**9.
"""

from firmline.core.units import const, ptr32

_MASK = const(2)
_WIRES = const(3)
_LOW_W = const(4)
_MIN_W = const(5)
_HIGH_W = const(6)
_PROTECTED = const(9)
_IN_FLIGHT = const(13)
_POWER_W = const(14)
_COMMAND_W = const(15)
_PROPOSAL_W = const(16)
_PREVIOUS_W = const(17)
_BEFORE_W = const(18)
_CHANGED_MS = const(19)
_CREDIT_W = const(22)
_CREDIT_LOW_W = const(23)
_NEW_W = const(29)

_AXES = const(4)  # of `left`
_MASK_MS = const(0x3FFFFFFF)
_MOST_POWER_W = const(10000000)


def beyond(axis_w: ptr32, high_w: ptr32, low_w: ptr32, axes: int) -> int:
    """Bit 0: an axis is above its limit; bit 1: one is below."""
    found = 0
    for axis in range(axes):
        if axis_w[axis] > high_w[axis]:
            found |= 1
        if axis_w[axis] < low_w[axis]:
            found |= 2
    return found


# -- balance -------------------------------------------------------------------------------------


def take_out(table: ptr32, axis_w: ptr32, import_w: ptr32, export_w: ptr32, axes: int):
    """Fill import_w and export_w with the sample less the credit of each resource, and the two
    rows of credits. See balance.py. Rounded toward more uncontrolled power on conductors."""
    count = table[0]
    for axis in range(axes):
        import_w[axis] = axis_w[axis]
        export_w[axis] = axis_w[axis]
    for k in range(count):
        command_w = table[_COMMAND_W * count + k]
        high_w = table[_POWER_W * count + k]
        if high_w > _MOST_POWER_W:
            high_w = _MOST_POWER_W
        if high_w < -_MOST_POWER_W:
            high_w = -_MOST_POWER_W
        table[_POWER_W * count + k] = high_w
        low_w = high_w
        if table[_IN_FLIGHT * count + k]:
            before_w = table[_BEFORE_W * count + k]
            if command_w > high_w:
                high_w = command_w
            if before_w > high_w:
                high_w = before_w
            if command_w < low_w:
                low_w = command_w
            if before_w < low_w:
                low_w = before_w
        else:
            if command_w > 0:
                high_w &= ~(high_w >> 31)
                if high_w > command_w:
                    high_w = command_w
            else:
                high_w &= high_w >> 31
                if high_w < command_w:
                    high_w = command_w
            low_w = high_w
        table[_CREDIT_W * count + k] = high_w
        table[_CREDIT_LOW_W * count + k] = low_w
        if high_w | low_w:
            import_w[0] -= high_w
            export_w[0] -= low_w
            mask = table[_MASK * count + k]
            wires = table[_WIRES * count + k]
            high_w = high_w // wires
            low_w = -low_w // wires
            for axis in range(1, axes):
                import_w[axis] -= high_w * (mask & 1)
                export_w[axis] += low_w * (mask & 1)
                mask >>= 1


# -- guard ---------------------------------------------------------------------------------------


def check_range(table: ptr32) -> int:
    """Proposals that are inside the range of their resource become `new`, others 0; a protected
    load its rating. 1 if one had to be refused."""
    count = table[0]
    found = 0
    for k in range(count):
        wanted_w = table[_PROPOSAL_W * count + k]
        high_w = table[_HIGH_W * count + k]
        least_w = table[_LOW_W * count + k]
        if wanted_w > 0:
            least_w = table[_MIN_W * count + k]
        if wanted_w < least_w or wanted_w > high_w:
            wanted_w = 0
            found = 1
        if table[_PROTECTED * count + k]:
            wanted_w = high_w
        table[_NEW_W * count + k] = wanted_w
    return found


def open_books(left: ptr32, limit_w: ptr32, uncontrolled_w: ptr32, sign: int):
    """left = limit - uncontrolled on every axis; sign -1 mirrors, for export."""
    for axis in range(left[_AXES]):
        left[axis] = sign * (limit_w[axis] - uncontrolled_w[axis])


def book_given(table: ptr32, left: ptr32, sign: int, has_relief: int):
    """Book protected loads in full and, with has_relief, those whose `new` gives relief in this
    direction: no further than they are seen to. Rounded up on each conductor."""
    count = table[0]
    for k in range(count):
        wanted_w = sign * table[_NEW_W * count + k]
        if wanted_w > 0:
            wanted_w *= table[_PROTECTED * count + k]
        else:
            power_w = sign * table[_POWER_W * count + k]
            if power_w > wanted_w:
                wanted_w = power_w
            wanted_w &= wanted_w >> 31
            wanted_w *= has_relief
        if wanted_w:
            left[0] -= wanted_w
            wanted_w = -wanted_w // table[_WIRES * count + k]
            mask = table[_MASK * count + k]
            for axis in range(1, left[_AXES]):
                left[axis] += wanted_w * (mask & 1)
                mask >>= 1


def cut(table: ptr32, left: ptr32, sign: int) -> int:
    """Book what `new` asks for in this direction, first resource first; what does not fit beside
    is cut to what is left, or to 0 below the minimum of the device. 1 if something was cut."""
    count = table[0]
    is_cut = 0
    for k in range(count):
        wanted_w = sign * table[_NEW_W * count + k]
        if wanted_w > 0 and not table[_PROTECTED * count + k]:
            wires = table[_WIRES * count + k]
            mask = table[_MASK * count + k]
            room_w = left[0]
            for axis in range(1, left[_AXES]):
                spare_w = left[axis] * wires - room_w
                room_w += spare_w & spare_w >> 31 & -(mask & 1)
                mask >>= 1
            if wanted_w > room_w:
                wanted_w = room_w & ~(room_w >> 31)
                if wanted_w < table[_MIN_W * count + k]:
                    wanted_w = 0
                table[_NEW_W * count + k] = sign * wanted_w
                is_cut = 1
            left[0] -= wanted_w
            wanted_w = -wanted_w // wires
            mask = table[_MASK * count + k]
            for axis in range(1, left[_AXES]):
                left[axis] += wanted_w * (mask & 1)
                mask >>= 1
    return is_cut


def publish(table: ptr32):
    """`new` is in force; what was is kept as `previous`."""
    count = table[0]
    for k in range(count):
        table[_PREVIOUS_W * count + k] = table[_COMMAND_W * count + k]
        table[_COMMAND_W * count + k] = table[_NEW_W * count + k]


# -- cycle ---------------------------------------------------------------------------------------


def begin_cycle(table: ptr32, now_ms: int, longest_ms: int):
    """Propose the commands in force; end what has been in flight for more than longest_ms."""
    count = table[0]
    for k in range(count):
        table[_PROPOSAL_W * count + k] = table[_COMMAND_W * count + k]
        if (now_ms - table[_CHANGED_MS * count + k]) & _MASK_MS > longest_ms:
            table[_IN_FLIGHT * count + k] = 0


def start_flights(table: ptr32, now_ms: int) -> int:
    """A changed command is in flight from now on; a resource that was not yet did `before` what
    it does. 1 if a command has changed."""
    count = table[0]
    found = 0
    for k in range(count):
        if table[_COMMAND_W * count + k] != table[_PREVIOUS_W * count + k]:
            found = 1
            table[_CHANGED_MS * count + k] = now_ms
            if not table[_IN_FLIGHT * count + k]:
                table[_IN_FLIGHT * count + k] = 1
                table[_BEFORE_W * count + k] = table[_POWER_W * count + k]
    return found


# -- telemetry -----------------------------------------------------------------------------------


def show(values: ptr32, at: int, table: ptr32, most: int):
    """Command and power of each resource, in turns, from values[at] on; of `most` resources."""
    count = table[0]
    for k in range(most):
        values[at] = table[_COMMAND_W * count + k]
        values[at + 1] = table[_POWER_W * count + k]
        at += 2
