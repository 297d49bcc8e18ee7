# SPDX-License-Identifier: MIT
"""Prepares a product table for one link, once: not in the hot path.

Offsets of fields become offsets inside their reply, fields of phases that are not wired are left
out, and an EVSE's own phases are placed on the conductors of the site. Called by devices.link.
"""

from array import array

_PHASE_TARGETS = 9
_ABSENT = -1


def conductors(role, phases, is_split):
    """Where the device's phases 1..3 belong: conductor 0..2 or -1 for "leave out".

    A meter's phases are the conductors. An EVSE wired to L2 only calls it its own L1, so the
    k-th phase of an EVSE is the k-th set bit of the mask; between two legs it reports one current.
    """
    if role != "evse":
        return tuple(k if phases >> k & 1 else _ABSENT for k in range(3))
    wired = [k for k in range(3) if phases >> k & 1]
    if is_split:
        wired = wired[:1]
    return tuple(wired[k] if k < len(wired) else _ABSENT for k in range(3))


def _placed_field(field, first, places):
    offset, kind, numerator, denominator, target, scale = field
    if 0 <= target < _PHASE_TARGETS:
        place = places[target % 3]
        if place == _ABSENT:
            return None
        target = target // 3 * 3 + place
    if scale >= 0:
        scale -= first
    return (offset - first, kind, numerator, denominator, target, scale)


def _placed_fields(fields, first, places):
    """array("i"), six numbers a field: what devices.fields decodes."""
    placed = array("i")
    for field in fields:
        field = _placed_field(field, first, places)
        if field is not None:
            placed.extend(array("i", field))
    return placed


def placed_blocks(blocks, places, poll_ms):
    """Table blocks with reply offsets and the link's own period in place of 0."""
    return tuple(
        (slot, function, first, count, period_ms or poll_ms, _placed_fields(fields, first, places))
        for slot, function, first, count, period_ms, fields in blocks
    )


def placed_identify(blocks):
    """Identification reads with reply offsets."""
    return tuple(
        (slot, function, first, count, required, _placed_fields(fields, first, (0, 1, 2)))
        for slot, function, first, count, required, fields in blocks
    )


def shared(product, others):
    """`product`, or the same one that one of the other links (None for what is no link) has."""
    for other in others:
        held = getattr(other, "product", None)
        if held is not None and _is_same(product.__dict__, held.__dict__):
            return held
    return product


def _is_same(one, other):
    for name in one:
        if name not in ("chain", "work") and one[name] != other[name]:
            return False
    return True
