# SPDX-License-Identifier: MIT
"""Small SVG pieces: scales, ticks, lines, strips. Strings in, strings out; every text escaped.

Colours are CSS classes of page.css, so a plot follows the reader's light or dark setting.
"""

from html import escape

from hil.report import decimate

WIDTH = 1040
LEFT = 118
RIGHT = 70
_TIME_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_LONG_STEPS = (7200, 10800, 21600, 43200, 86400)


class Scale:
    """A straight mapping of values lo..hi to coordinates at_lo..at_hi."""

    def __init__(self, lo, hi, at_lo, at_hi):
        self.lo, self.hi = lo, hi
        self.at_lo, self.at_hi = at_lo, at_hi
        self.per_unit = (at_hi - at_lo) / ((hi - lo) or 1)

    def __call__(self, value):
        return self.at_lo + (value - self.lo) * self.per_unit


class Frame:
    """A plot's area and its two scales. `columns` is how finely it can show time."""

    def __init__(self, t_s, from_s, to_s, box, low, high, columns):
        left, top, width, height = box
        self.left, self.top, self.width, self.height = box
        self.t_s = t_s
        self.x = Scale(from_s, to_s, left, left + width)
        self.y = Scale(low, high, top + height, top)
        self.found = decimate.edges(t_s, from_s, to_s, columns)
        self.columns = columns

    def line(self, values, css, is_step=False):
        """A decimated path of one series; a gap stays a gap."""
        return f'<path class="{css}" d="{self._path(values, is_step)}"/>'

    def area(self, values, css):
        """The space between a series and zero."""
        path = self._path(values, False, base=coordinate(self.y(0)))
        return f'<path class="{css}" d="{path}"/>'

    def _path(self, values, is_step, base=None):
        parts, last_k, y_before, x_first, is_flat = [], None, None, None, False
        for k in decimate.points(self.t_s, values, self.found):
            x, y = coordinate(self.x(self.t_s[k])), coordinate(self.y(values[k]))
            is_new = last_k is None or None in values[last_k:k]
            if is_new:
                if base is not None and x_first is not None:
                    parts.append(f"V{base}H{x_first}Z")
                parts.append(f"M{x} {y}" if base is None else f"M{x} {base}V{y}")
                x_first = x
            elif y == y_before:
                if is_flat:
                    parts.pop()
                parts.append(f"H{x}")
            else:
                parts.append(f"H{x}V{y}" if is_step else f"L{x} {y}")
            is_flat = not is_new and y == y_before
            y_before, last_k = y, k
        if base is not None and parts:
            parts.append(f"V{base}Z")
        return "".join(parts)

    def between(self, low, high, css):
        """The space between two series that hold their values (limits)."""
        kept = decimate.points(self.t_s, high, self.found)
        kept = sorted({*kept, *decimate.points(self.t_s, low, self.found)})
        kept = [k for k in kept if low[k] is not None and high[k] is not None]
        if not kept:
            return ""
        there = "".join(self._hold(k, high, "H{0}V{1}") for k in kept)
        back = "".join(self._hold(k, low, "V{1}H{0}") for k in reversed(kept))
        start = self._hold(kept[0], high, "M{0} {1}")
        return f'<path class="{css}" d="{start}{there}{back}Z"/>'

    def _hold(self, k, values, form):
        limited = min(max(values[k], self.y.lo), self.y.hi)
        return form.format(coordinate(self.x(self.t_s[k])), coordinate(self.y(limited)))

    def span(self, from_s, to_s, css, title=""):
        """A vertical band, never narrower than can be seen."""
        x, end = self.x(max(from_s, self.x.lo)), self.x(min(to_s, self.x.hi))
        width = max(end - x, 1.6)
        tip = f"<title>{escape(title)}</title>" if title else ""
        return (
            f'<rect class="{css}" x="{coordinate(x)}" y="{self.top}" '
            f'width="{coordinate(width)}" height="{self.height}">{tip}</rect>'
        )

    def time_axis(self, is_labelled=True):
        parts = []
        for at in time_ticks(self.x.lo, self.x.hi, max(3, self.width // 95)):
            x = coordinate(self.x(at))
            bottom = self.top + self.height
            parts.append(f'<path class="grid" d="M{x} {self.top}V{bottom}"/>')
            if is_labelled:
                label = clock(at, self.x.hi - self.x.lo)
                parts.append(text(x, bottom + 15, label, "tick", "middle"))
        return "".join(parts)

    def value_axis(self, unit_w, count=5):
        parts = []
        for at in value_ticks(self.y.lo, self.y.hi, count):
            y = coordinate(self.y(at))
            css = "zero" if at == 0 else "grid"
            parts.append(f'<path class="{css}" d="M{self.left} {y}h{self.width}"/>')
            parts.append(text(self.left - 8, y + 3.5, signed(at / unit_w), "tick", "end"))
        return "".join(parts)


def drawing(width, height, body, label):
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{body}</svg>'
    )


def text(x, y, words, css, anchor="start"):
    place = f'x="{coordinate(x)}" y="{coordinate(y)}" text-anchor="{anchor}"'
    return f'<text class="{css}" {place}>{escape(str(words))}</text>'


def coordinate(value):
    """One decimal is a tenth of a pixel: enough, and short."""
    short = round(value, 1)
    return int(short) if short == int(short) else short


def signed(value, form="g"):
    """A number with a real minus sign."""
    return format(value, form).replace("-", "\u2212")


def strip(frame, values, names, css):
    """A row of coloured boxes: which of `names` was current; each column shows the highest."""
    width = frame.width / frame.columns
    parts = []
    for start, stop, value in decimate.runs(values, frame.found):
        x, wide = frame.left + start * width, (stop - start) * width
        name = names.get(value, str(value))
        parts.append(
            f'<rect class="{css}{value}" x="{coordinate(x)}" y="{frame.top}" '
            f'width="{coordinate(max(wide, 1.6))}" height="{frame.height}">'
            f"<title>{escape(name)}</title></rect>"
        )
        if wide > 7 * len(name) + 6:
            parts.append(text(x + 5, frame.top + frame.height / 2 + 4, name, "in-strip"))
    return "".join(parts)


def unit_of(low, high):
    """(watts a unit, its name) for an axis."""
    largest = max(abs(low), abs(high))
    return (1e6, "MW") if largest >= 2e6 else (1e3, "kW") if largest >= 2e3 else (1, "W")


def value_ticks(low, high, count):
    """Round values inside low..high, about `count` of them."""
    rough = (high - low) / max(count, 1) or 1
    power = 10.0 ** _exponent(rough)
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = -int(-low / step) if low < 0 else int(low / step)
    ticks = [k * step for k in range(first - 1, int(high / step) + 2)]
    return [round(at, 9) + 0.0 for at in ticks if low <= at <= high]


def _exponent(value):
    exponent = 0
    while 10.0 ** (exponent + 1) <= value:
        exponent += 1
    while 10.0**exponent > value:
        exponent -= 1
    return exponent


def time_ticks(from_s, to_s, count):
    span = (to_s - from_s) or 1
    steps = _TIME_STEPS + _LONG_STEPS
    step = next((step for step in steps if span / step <= count), 86400)
    first = int(from_s / step)
    ticks = [k * step for k in range(first, int(to_s / step) + 2)]
    return [at for at in ticks if from_s <= at <= to_s + 1e-9]


def clock(t_s, span_s):
    """Time of the run as people read it: 12.5 s, 2:05, 1:02:05, 13 h."""
    if span_s < 300:
        return f"{t_s:g} s"
    whole = round(t_s)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if span_s >= 6 * 3600:
        return f"{hours}:{minutes:02}"
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
