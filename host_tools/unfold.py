# SPDX-License-Identifier: MIT
"""Reads an error text of a board: host_tools/fold.py has given its private names short ones.

    File "app", line 1, in _bg        ->  File "app", in Controller._has_bytes
    'Bus' object has no attribute '_ab'  ->  'Bus' object has no attribute '_owner'

One short name stands for many: which, is told by the class or the module that the text names. The
table comes with a release, as names.json; deploy leaves that of each board it has served on this
computer. There are no line numbers on a board (host_tools/compile.py).
"""

import ast
import contextlib
import json
import os
import re
from functools import cache
from pathlib import Path

from host_tools import fold

_SHORT = r"(_[a-z]{1,2}|[a-z]{2})\b"
_FRAME = re.compile(rf'(File "(\w+)")[^\n]*?( in ){_SHORT}')
_PLAIN_FRAME = re.compile(r'(File "\w+"), line 1(, in \w)')
_OF_CLASS = re.compile(rf"('(\w+)' object has no attribute '){_SHORT}")
_OF_MODULE = re.compile(rf"(module '(?:\w+\.)*(\w+)' has no attribute '|name '){_SHORT}")
_FILE = re.compile(r'File "(\w+)"')
_KINDS = ("functions", "classes", "modules", "public")


@cache
def own_names():
    """The table of this source tree: {"functions": {module: {short: [names]}}, "classes": {class:
    ...}, "modules": {module: ...}, "public": {"": ...}}. A module by its last name, as MicroPython
    gives it; a function with its class."""
    short = fold.short_names() | fold.public_names()
    found = {kind: {} for kind in _KINDS}

    def add(kind, holder, name, whole=None):
        if name in short:
            names = found[kind].setdefault(holder, {}).setdefault(short[name], [])
            names.append(whole or name)

    for family, names in fold.census().families.items():
        for holder in family:
            for name in names:
                add("classes", holder, name)
    for dotted, tree in fold.trees().items():
        module = dotted.rpartition(".")[2]
        for name in fold.private(ast.walk(tree)):
            add("modules", module, name)
        for holder in ast.walk(tree):
            for node in ast.iter_child_nodes(holder):
                if isinstance(node, ast.FunctionDef):
                    prefix = holder.name + "." if isinstance(holder, ast.ClassDef) else ""
                    add("functions", module, node.name, prefix + node.name)
    for name in fold.public_names():
        add("public", "", name)
    return _sorted(found)


def is_table(value):
    """Is it one, of whatever version?"""
    return isinstance(value, dict) and all(
        isinstance(words, list) and all(isinstance(word, str) for word in words)
        for holders in value.values()
        for shorts in _values(holders)
        for words in _values(shorts)
    )


def _values(value):
    return value.values() if isinstance(value, dict) else [None]


def _sorted(found):
    """The same tree gives the same text."""
    if isinstance(found, dict):
        return {key: _sorted(found[key]) for key in sorted(found)}
    return sorted(set(found))


def readable(text, names):
    """`text` that a board said, with the names of the source. What the table lacks stays."""
    if not names:
        return text
    file = _FILE.findall(text)[-1:]

    def long(kind, holder, short):
        found = names.get(kind, {}).get(holder, {}).get(short)
        if found is None and kind == "classes" and file:  # an object of another kind
            found = names.get("modules", {}).get(file[0], {}).get(short)
        found = found or names.get("public", {}).get("", {}).get(short)
        return " or ".join(found or [short])

    text = _OF_CLASS.sub(lambda m: m[1] + long("classes", m[2], m[3]), text)
    text = _OF_MODULE.sub(lambda m: m[1] + long("modules", m[2] or "".join(file), m[3]), text)
    text = _FRAME.sub(lambda m: f"{m[1]},{m[3]}{long('functions', m[2], m[4])}", text)
    return _PLAIN_FRAME.sub(r"\1\2", text)


def keep(serial, version, names):
    """Leave the table of what was deployed; a home that cannot be written to is no failure."""
    path = _path(serial)
    if path is None:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({"version": version, "names": names}), encoding="utf-8")
        partial.replace(path)


def names_of(serial, version):
    """The table for a board: what deploy left here, else that of this tool where it is of the same
    version, else {}."""
    from firmline.version import VERSION

    path = _path(serial)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(path.read_text(encoding="utf-8")) if path else {}
        if kept["version"] == version and is_table(kept["names"]):
            return kept["names"]
    return own_names() if version == VERSION else {}


def _path(serial):
    """Where the table of a board is kept; None for a serial number that no board has."""
    if not re.fullmatch(r"[0-9a-f]{2,64}", serial):
        return None
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state, "firmline", f"{serial}.json")
