# SPDX-License-Identifier: MIT
"""JSON text to a dict, more strictly than the json module: on a board that one takes a missing
comma or `48 000` without a word, and everywhere it keeps one of two equal keys. Either could
become a firm limit. Refuses with line and column; called by config.load.
"""

import json

from firmline.core.units import const
from firmline.services.config_fields import MISSING, ConfigError

_MAX_CHARS = const(16384)
_MAX_DEPTH = const(8)

# what may come next
_VALUE = const(0)
_FIRST_VALUE = const(1)
_KEY = const(2)
_FIRST_KEY = const(3)
_COLON = const(4)
_AFTER = const(5)
_ACCEPTED = (
    "a value",
    "a value or ]",
    "a key in quotes",
    "a key in quotes or }",
    ":",
    "a comma or the closing bracket",
)
_SPACE = b" \t\r\n"
_PUNCTUATION = b' \t\r\n,:{}[]"'
_NUMBER = b"+-.0123456789eE"


def parse(text):
    """The object in `text`, or ConfigError."""
    if not isinstance(text, str):
        raise ConfigError("(text)", None, "text")
    if len(text) > _MAX_CHARS:
        raise ConfigError("(text)", len(text), "at most %d characters" % _MAX_CHARS)
    try:
        _check_grammar(text.encode())
        given = json.loads(text)
    except ValueError:  # what the grammar leaves open: escapes, the inside of a number
        raise ConfigError("(text)", "...", "JSON") from None
    if not isinstance(given, dict):
        raise ConfigError("(text)", given, "one JSON object")
    return given


def _check_grammar(data):
    objects = []  # one for each open bracket: the keys so far of {, None for [
    expect = _VALUE
    at = 0
    while at < len(data):
        start = at
        before = expect
        char = data[at]
        at = _end(data, at)
        if char in _SPACE:
            continue
        is_good = expect <= _FIRST_VALUE
        if char == 0x22 and (expect == _KEY or expect == _FIRST_KEY):
            _add_key(data[start + 1 : at - 1], objects[-1])
            is_good = True
            expect = _COLON
        elif char == 0x3A:  # :
            is_good = expect == _COLON
            expect = _VALUE
        elif char == 0x2C:  # ,
            is_good = expect == _AFTER and len(objects) > 0
            expect = _KEY if is_good and objects[-1] is not None else _VALUE
        elif char == 0x7B:  # {
            objects.append(set())
            expect = _FIRST_KEY
        elif char == 0x5B:  # [
            objects.append(None)
            expect = _FIRST_VALUE
        elif char == 0x7D or char == 0x5D:  # } ]
            is_good = len(objects) > 0 and (objects.pop() is None) == (char == 0x5D)
            is_good = is_good and expect in (_AFTER, _FIRST_KEY if char == 0x7D else _FIRST_VALUE)
            expect = _AFTER
        else:
            is_good = is_good and (char == 0x22 or _is_scalar(data[start:at]))
            expect = _AFTER
        if len(objects) > _MAX_DEPTH:
            _refuse(data, start, at, "at most %d levels" % _MAX_DEPTH)
        if not is_good:
            _refuse(data, start, at, _ACCEPTED[before])
    if objects or expect != _AFTER:
        raise ConfigError("(text)", MISSING, "JSON to its last closing bracket")


def _end(data, at):
    """Where the token that begins at `at` ends."""
    if data[at] == 0x22:
        start = at
        at += 1
        while at < len(data) and data[at] != 0x22:
            if data[at] < 0x20:
                break
            at += 2 if data[at] == 0x5C else 1
        if at >= len(data) or data[at] < 0x20:
            _refuse(data, start, at, "text that ends with a quote on its line")
        return at + 1
    if data[at] in _PUNCTUATION:
        return at + 1
    while at < len(data) and data[at] not in _PUNCTUATION:
        at += 1
    return at


def _add_key(key, keys):
    name = key.decode()
    if key in keys:
        raise ConfigError(name, "given twice", "each key once in its object")
    if b"\\" in key:
        raise ConfigError(name, "escaped", "a key without escapes")
    keys.add(key)


def _is_scalar(token):
    if token in (b"true", b"false", b"null"):
        return True
    for char in token:
        if char not in _NUMBER:
            return False
    digits = token[1:] if token[0] == 0x2D else token
    if not digits or not 0x30 <= digits[0] <= 0x39:
        return False
    return digits[0] != 0x30 or len(digits) == 1 or not 0x30 <= digits[1] <= 0x39


def _refuse(data, start, end, accepted):
    line = 1
    line_start = 0
    for at in range(start):
        if data[at] == 0x0A:
            line += 1
            line_start = at + 1
    column = len(data[line_start:start].decode()) + 1
    token = data[start:end].decode()[:40]
    if b"network" in data or b"pass" in data.lower():
        token = "(not shown)"  # it may be the password
    raise ConfigError("line %d column %d" % (line, column), token, accepted)
