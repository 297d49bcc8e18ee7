# SPDX-License-Identifier: MIT
"""Apply the tables of `schema.py` to what tomllib returned, one `BadInput` line per mistake.

`Checker` carries the file's name, so that every line names file, field path, value and what
would be accepted. It never repairs a value: it passes or refuses.
"""

import difflib
import math
import re

_NAME = re.compile(r"[a-z][a-z0-9_]{0,23}")
_LISTS = ("numbers", "times", "range")
_ID = re.compile(r"[A-Za-z0-9._-]{1,40}")
_MISSING = object()


class BadInput(Exception):
    """Input that cannot be used; the message is one line for the user (exit status 2)."""

    def __init__(self, message):
        super().__init__(" ".join(str(message).split()))


class Checker:
    def __init__(self, file):
        self.file = file

    def fail(self, path, value, accepted):
        """Refuse `value` at `path`; `accepted` completes 'expected ...'."""
        raise BadInput(f"{self.file}: {path} = {shown(value)}: expected {accepted}")

    def table(self, raw, fields, path, fill=True):
        """Checked copy of `raw`; with `fill`, absent optional keys take their default."""
        if not isinstance(raw, dict):
            self.fail(path, raw, "a table")
        for key, value in raw.items():
            if key not in fields:
                where = f"{self.file}: {_join(path, key)} = {shown(value)}"
                raise BadInput(f"{where}: no such key{_nearest(key, fields)}")
        checked = {}
        for key, field in fields.items():
            value = raw.get(key, _MISSING)
            if value is not _MISSING:
                checked[key] = self.value(value, field, _join(path, key))
            elif field.required:
                accepted = "a table" if field.kind in ("table", "tables") else field.accepted()
                raise BadInput(f"{self.file}: {_join(path, key)} is missing: expected {accepted}")
            elif fill:
                checked[key] = field.default
        return checked

    def variant(self, raw, key, tables, path, fill=True):
        """Checked copy of `raw`, whose field `key` selects one of several tables."""
        if not isinstance(raw, dict):
            self.fail(path, raw, "a table")
        choices = "one of " + ", ".join(tables)
        if key not in raw:
            raise BadInput(f"{self.file}: {_join(path, key)} is missing: expected {choices}")
        if not isinstance(raw[key], str) or raw[key] not in tables:
            self.fail(_join(path, key), raw[key], choices)
        return self.table(raw, tables[raw[key]], path, fill)

    def tables(self, raw, path):
        """`raw` as a list of (element, path of the element); absent is an empty list."""
        if raw is None:
            return []
        if not isinstance(raw, list):
            self.fail(path, raw, "an array of tables")
        return [(item, f"{path}[{index}]") for index, item in enumerate(raw)]

    def value(self, value, field, path):
        """`value` if it is of the field's kind and range; lists come back as tuples."""
        good = _KINDS[field.kind](value, field)
        if not good:
            self.fail(path, value, field.accepted())
        if field.kind == "spans":
            return tuple((start, stop) for start, stop in value)
        return tuple(value) if isinstance(value, list) and field.kind in _LISTS else value


def is_number(value):
    """A finite int or float that is not a bool (TOML also knows inf and nan)."""
    return type(value) in (int, float) and math.isfinite(value)


def shown(value):
    """`value` as it may stand in an error line: short, one line."""
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 60 else text[:57] + "..."


def _join(path, key):
    return f"{path}.{key}" if path else key


def _nearest(key, fields):
    near = difflib.get_close_matches(key, fields, 1)
    known = ", ".join(fields)
    return f" (did you mean {near[0]}? known: {known})" if near else f" (known: {known})"


def _in_range(value, field):
    return field.low is None or field.low <= value <= field.high


def _is_int(value, field):
    return type(value) is int and _in_range(value, field)


def _is_number(value, field):
    return is_number(value) and _in_range(value, field)


def _is_numbers(value, field):
    return isinstance(value, list) and value and all(_is_number(v, field) for v in value)


def _is_range(value, field):
    if not isinstance(value, list):
        return _is_number(value, field)
    return len(value) == 2 and _is_numbers(value, field) and value[0] <= value[1]


def _is_times(value, field):
    return _is_numbers(value, field) and all(a < b for a, b in zip(value, value[1:], strict=False))


def _is_spans(value, field):
    if not isinstance(value, list):
        return False
    last = -1
    for pair in value:
        if not (isinstance(pair, list) and len(pair) == 2 and _is_numbers(pair, field)):
            return False
        if not last <= pair[0] < pair[1]:
            return False
        last = pair[1]
    return True


def _is_text(value, field):
    return isinstance(value, str) and 1 <= len(value.strip()) <= 80 and value.isprintable()


def _matches(pattern):
    return lambda value, field: isinstance(value, str) and bool(pattern.fullmatch(value))


def _is_choice(value, field):
    if not field.choices:  # another step decides, as for fault kinds
        return isinstance(value, str)
    return any(type(value) is type(choice) and value == choice for choice in field.choices)


_KINDS = {
    "text": _is_text,
    "name": _matches(_NAME),
    "id": _matches(_ID),
    "int": _is_int,
    "number": _is_number,
    "numbers": _is_numbers,
    "range": _is_range,
    "times": _is_times,
    "spans": _is_spans,
    "bool": lambda value, field: isinstance(value, bool),
    "choice": _is_choice,
    "file": lambda value, field: isinstance(value, str) and bool(value) and value.isprintable(),
    "target": lambda value, field: isinstance(value, str) and bool(value),
    "table": lambda value, field: True,  # checked by its own table
    "tables": lambda value, field: True,
}
