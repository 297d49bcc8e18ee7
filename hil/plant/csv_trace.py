# SPDX-License-Identifier: MIT
"""Recorded traces from CSV files: read strictly or refused with one line.

Columns: `t_s,load_w`, optionally `pv_w`; or `t_s,l1_w,l2_w,l3_w`, optionally `pv_w`. Any order.
Time starts at 0 and strictly increases, at any step; a value holds until the next row.
A trace with a hole in it is refused, never patched: a patched trace proves nothing.
"""

import csv
import re

from hil.plant.element import to_us

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_MAX_T_S = 1e8  # three years
_MAX_W = 1e8  # 100 MW
_PHASE_COLUMNS = ("l1_w", "l2_w", "l3_w")
_COLUMNS = ("t_s", "load_w", "pv_w") + _PHASE_COLUMNS
_HEADER = "t_s,load_w[,pv_w] or t_s,l1_w,l2_w,l3_w[,pv_w]"


class BadCsv(ValueError):
    """A trace that is refused. str() is one line; the fields are attributes.

    file; row: line of the file, the header is 1 (0: the file as a whole); column: name or "";
    value: what stands there, as text; accepted: what would be accepted.
    """

    def __init__(self, file, row, column, value, accepted):
        self.file = str(file)
        self.row = row
        self.column = column
        self.value = value
        self.accepted = accepted
        where = f"row {row}" + (f", column {column}" if column else "")
        text = repr(value)
        shown = text if len(text) <= 60 else text[:57] + "..."
        super().__init__(f"{self.file}: {where}: {shown}: expected {accepted}")


class Trace:
    """A trace in memory. t_us: list of int, first 0; columns: name -> list of W (int or float)."""

    def __init__(self, file, t_us, columns):
        self.file = str(file)
        self.t_us = t_us
        self.columns = columns

    @property
    def is_per_phase(self):
        """True when the load is given as l1_w, l2_w, l3_w."""
        return "l1_w" in self.columns

    @property
    def has_pv(self):
        return "pv_w" in self.columns


def read_trace(path):
    """Read a trace file. Raises BadCsv, whatever is wrong with the file."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return _parse(path, csv.reader(file, strict=True))
    except OSError as error:
        raise BadCsv(path, 0, "", error.strerror or str(error), "a readable file") from None
    except UnicodeDecodeError as error:
        bad = error.object[error.start : error.start + 1]
        raise BadCsv(path, 0, "", bad.hex(), "a text file in UTF-8") from None


def _parse(path, reader):
    names, t_us, columns = None, [], {}
    blank_row = 0
    for row, cells in _rows(path, reader):
        if not any(cell.strip() for cell in cells):
            blank_row = blank_row or row
            continue
        if blank_row:
            raise BadCsv(path, blank_row, (names or _COLUMNS)[0], "", "no empty row")
        if names is None:
            names = _check_header(path, row, [cell.strip() for cell in cells])
            columns = {name: [] for name in names}
        else:
            _add_row(path, row, names, cells, t_us, columns)
    if names is None:
        raise BadCsv(path, 1, "t_s", "", f"a header {_HEADER}")
    if not t_us:
        raise BadCsv(path, 2, names[0], "", "at least one row after the header")
    del columns["t_s"]
    return Trace(path, t_us, columns)


def _rows(path, reader):
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadCsv(path, reader.line_num, "", str(error), "comma-separated text") from None
        yield reader.line_num, cells


def _check_header(path, row, names):
    for k, name in enumerate(names):
        if name not in _COLUMNS or name in names[:k]:
            raise BadCsv(path, row, name, name, f"each column once, of {_HEADER}")
    if "t_s" not in names:
        raise BadCsv(path, row, "t_s", ",".join(names), f"a header {_HEADER}")
    present = [name for name in _PHASE_COLUMNS if name in names]
    if "load_w" in names:
        if present:
            raise BadCsv(path, row, present[0], ",".join(names), "load_w or l1_w,l2_w,l3_w")
    elif len(present) != 3:
        missing = next((name for name in _PHASE_COLUMNS if name not in names), "load_w")
        column = missing if present else "load_w"
        raise BadCsv(path, row, column, ",".join(names), f"a header {_HEADER}")
    return names


def _add_row(path, row, names, cells, t_us, columns):
    if len(cells) != len(names):
        column = names[len(cells)] if len(cells) < len(names) else names[-1]
        raise BadCsv(path, row, column, ",".join(cells), f"{len(names)} cells")
    for name, cell in zip(names, cells, strict=True):
        columns[name].append(_number(path, row, name, cell.strip()))
    at_us = to_us(columns["t_s"][-1])
    cell = cells[names.index("t_s")].strip()
    if not t_us and at_us != 0:
        raise BadCsv(path, row, "t_s", cell, "0 in the first row")
    if t_us and at_us <= t_us[-1]:
        before = f"{t_us[-1] / 1e6:.6f}".rstrip("0").rstrip(".")
        raise BadCsv(path, row, "t_s", cell, f"a time after {before} s")
    t_us.append(at_us)


def _number(path, row, name, cell):
    low, high = (0.0, _MAX_T_S) if name == "t_s" else (-_MAX_W, _MAX_W)
    if name == "pv_w":
        low = 0.0
    value = float(cell) if _NUMBER.fullmatch(cell) else None
    if value is None or not low <= value <= high:
        raise BadCsv(path, row, name, cell, f"a number {low:.0f}..{high:.0f}")
    return value
