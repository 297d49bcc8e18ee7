# SPDX-License-Identifier: MIT
"""Fewer points with nothing hidden: every column of the plot keeps its lowest and highest sample.

Taking every n-th sample would lose exactly what a report is for, the overshoot between two of
them. Pure functions over lists; None in a series is a gap.
"""


def edges(t_s, from_s, to_s, columns):
    """Index of the first sample of each of `columns` equal columns, and the end: columns + 1."""
    found = [0] * (columns + 1)
    width = (to_s - from_s) / columns
    k = 0
    for column in range(columns + 1):
        start = from_s + column * width
        while k < len(t_s) and t_s[k] < start:
            k += 1
        found[column] = k
    last = len(t_s)
    while last and t_s[last - 1] > to_s:
        last -= 1
    found[columns] = last
    return found


def extremes(values, found):
    """(index of the lowest, index of the highest) sample of each column; None where empty."""
    pairs = []
    for start, stop in zip(found, found[1:], strict=False):
        inside = [k for k in range(start, stop) if values[k] is not None]
        if inside:
            pairs.append(
                (min(inside, key=values.__getitem__), max(inside, key=values.__getitem__))
            )
        else:
            pairs.append(None)
    return pairs


def points(t_s, values, found):
    """Indices to draw, ascending: per column its extremes, and always the first and the last."""
    kept = set()
    for pair in extremes(values, found):
        kept.update(pair or ())
    known = [k for k in range(found[0], found[-1]) if values[k] is not None]
    kept.update(known[:1] + known[-1:])
    return sorted(kept)


def runs(values, found):
    """[(first column, end column, value)] of a strip; each column shows its highest value."""
    merged = []
    for column, pair in enumerate(extremes(values, found)):
        value = None if pair is None else values[pair[1]]
        if merged and value is None:
            value = merged[-1][2]  # columns narrower than a sample
        if merged and merged[-1][2] == value:
            merged[-1][1] = column + 1
        elif value is not None:
            merged.append([column, column + 1, value])
    return [tuple(run) for run in merged]


def spells(is_over):
    """[(first index, last index)] of each unbroken stretch of true samples."""
    found = []
    for k, over in enumerate(is_over):
        if over and found and found[-1][1] == k - 1:
            found[-1] = (found[-1][0], k)
        elif over:
            found.append((k, k))
    return found
