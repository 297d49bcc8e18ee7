# SPDX-License-Identifier: MIT
"""How a reading is shown: a live view, plain lines, JSON lines. Each has show(reading or None)."""

import json
import sys
import time
from collections import deque
from datetime import datetime

from host_tools import reading, status

_HISTORY = 240
_ROWS = 6
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_MODE_STYLES = {"normal": "bold green", "hold": "bold yellow", "start": "bold yellow"}


class _View:
    def __init__(self, session):
        self._session = session
        self._was_lost = False

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def show(self, now):
        """Print a reading; where there is none, say so once."""
        is_lost = now is None
        if is_lost and not self._was_lost:
            self._say(f"{_clock()}  lost: {self._session.trouble}; trying again")
        elif self._was_lost and not is_lost:
            gone_s = time.monotonic() - self._session.lost_s
            self._say(f"{_clock()}  back after {gone_s:.1f} s")
        self._was_lost = is_lost
        if not is_lost:
            self._put(now)

    def _say(self, text):
        print(f"firmline: {text}", file=sys.stderr, flush=True)


class Once(_View):
    """As `firmline status`."""

    def _put(self, now):
        for line in status.lines(self._session.identity, now):
            print(line)


class JsonLines(_View):
    """One object a reading, with its time; where there is none, one that says so."""

    def show(self, now):
        if now is None and not self._was_lost:
            self._put({"error": self._session.trouble})
        super().show(now)

    def _put(self, now):
        print(json.dumps({"time": datetime.now().astimezone().isoformat()} | now), flush=True)


class Lines(_View):
    """One line a reading, for a pipe."""

    def _put(self, now):
        limits = now["limits"]
        parts = [
            f"{_clock()}  {now['mode']:8}",
            f"PCC {reading.watts(now['pcc']['w']):>9}",
            f"limit {reading.watts(limits['import_w'])} {limits['binding_import']}",
            f"head-end {now['head_end']}",
        ]
        parts += [f"{row['name']} {reading.watts(row['power_w'])}" for row in now["resources"]]
        if now["stage"] != "inside":
            parts.insert(1, f"escalation {now['stage']}")
        print("  ".join(parts), flush=True)


class Live(_View):
    """A view that fills the width of the terminal and is redrawn in place."""

    def __init__(self, session, console=None):
        super().__init__(session)
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console = console or Console()
        self._live = RichLive(console=self._console, auto_refresh=False, screen=False)
        self._history = deque(maxlen=_HISTORY)
        self._last = None
        self._notes = deque(maxlen=3)

    def __enter__(self):
        self._live.start()
        return self

    def __exit__(self, *error):
        self._live.stop()

    def _say(self, text):
        self._notes.append(text)

    def _put(self, now):
        self._last = now

    def show(self, now):
        super().show(now)
        pcc_w = None if now is None else now["pcc"]["w"]
        limit_w = None if now is None else now["limits"]["import_w"]
        export_w = None if now is None else now["limits"]["export_w"]
        self._history.append((pcc_w, limit_w, export_w))
        self._live.update(self.picture(is_lost=now is None), refresh=True)

    def picture(self, is_lost):
        """The last reading as a rich renderable."""
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        identity = self._session.identity
        parts = [self._banner(is_lost)]
        if self._last is not None:
            parts += [_facts(self._last, is_lost), Text(), *self._chart(), Text()]
            parts.append(_resources(self._last, is_lost))
        parts += [Text(note, style="yellow") for note in self._notes]
        title = f"Firmline {identity['version']} on {identity['model']}"
        foot = f"{identity['where']}   serial {identity['serial']}   Ctrl-C ends"
        return Panel(Group(*parts), title=title, subtitle=foot, padding=(0, 1))

    def _banner(self, is_lost):
        from rich.text import Text

        if is_lost:
            gone_s = time.monotonic() - self._session.lost_s
            text = f" NO CONNECTION for {gone_s:.0f} s: {self._session.trouble}; trying again "
            return Text(text, style="bold white on red")
        now = self._last
        style = _MODE_STYLES.get(now["mode"], "bold red")
        line = Text.assemble((now["mode"].upper(), style))
        if now["stage"] != "inside":
            line.append(f"   escalation: {now['stage']}", style="bold red")
        if now["causes"]:
            line.append(f"   guard: {', '.join(now['causes'])}", style="dim")
        return line

    def _chart(self):
        """PCC over the last readings: bars from the lowest value up, red past the limit."""
        width = max(20, min(_HISTORY, self._console.width - 18))
        return chart(list(self._history)[-width:], width)


def chart(history, width):
    """`_ROWS` lines of rich text; history: (PCC W, import limit W, export limit W) or Nones."""
    from rich.text import Text

    known = [pcc for pcc, _, _ in history if pcc is not None]
    limits = [limit for _, limit, _ in history if limit is not None]
    high = max([1, *known, *limits])
    low = min([0, *known])
    step = (high - low) / _ROWS
    lines = []
    for row in range(_ROWS - 1, -1, -1):
        line = Text(_axis(row, low, high, step))
        line.append(" " * (width - len(history)))
        for sample in history:
            line.append(*_cell(sample, low + row * step, step))
        lines.append(line)
    return lines


def _axis(row, low, high, step):
    """The value at the top of the highest row and at the foot of the lowest."""
    if row == _ROWS - 1:
        return f"{high / 1000:>7.1f} kW "
    if row == 0:
        return f"{low / 1000:>7.1f} kW "
    return " " * 11


def _cell(sample, floor_w, step_w):
    """(character, style) of one column in the row that begins at floor_w."""
    pcc_w, limit_w, export_w = sample
    if pcc_w is None:
        return ("·" if floor_w <= 0 < floor_w + step_w else " "), "red"
    is_over = pcc_w > limit_w or -pcc_w > export_w
    filled = (pcc_w - floor_w) / step_w
    if filled > 0:
        return _EIGHTHS[min(8, max(1, round(filled * 8)))], "red" if is_over else "cyan"
    if floor_w < limit_w <= floor_w + step_w:
        return "─", "yellow"
    return " ", ""


def _facts(now, is_lost):
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold", style="dim" if is_lost else "")
    for what, value in reading.rows(now)[1:]:
        table.add_row(what, value)
    return table


def _resources(now, is_lost):
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), style="dim" if is_lost else "")
    for head in ("device", "role"):
        table.add_column(head, header_style="dim", no_wrap=True)
    for head in ("command", "power"):
        table.add_column(head, header_style="dim", justify="right", no_wrap=True)
    table.add_column("")
    most = max([1, *(abs(row[k]) for row in now["resources"] for k in ("command_w", "power_w"))])
    for row in now["resources"]:
        bar = "█" * round(20 * abs(row["power_w"]) / most)
        command, power = reading.watts(row["command_w"]), reading.watts(row["power_w"])
        style = "green" if row["power_w"] < 0 else "cyan"
        table.add_row(row["name"], row["role"], command, power, f"[{style}]{bar}[/]")
    return table


def _clock():
    return datetime.now().strftime("%H:%M:%S")
