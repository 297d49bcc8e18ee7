# SPDX-License-Identifier: MIT
"""A configuration as it is shown, printed or handed on: without the password of its network."""

import json
import re

HIDDEN = "***"  # no password is so short: a configuration with it is refused, not taken
_UNSEEN = "(not JSON, and with a network: not shown, as it may hold a password)\n"
_OPEN = ("ssid", "ntp_server")  # the rest of a network is hidden: also a misspelt password
_VALUE = re.compile(r'("[^"\\]*password[^"\\]*"\s*:\s*)"(?:[^"\\]|\\.)*"', re.IGNORECASE)


def masked(text):
    """The text of a configuration with what is secret as HIDDEN. Its layout stays where what is
    secret is spelt as usual."""
    try:
        config = json.loads(text)
    except ValueError:
        return _UNSEEN if "network" in text else text
    hidden = _hide(config)
    if hidden == config:
        return text
    replaced = _VALUE.sub(rf'\1"{HIDDEN}"', text)
    return replaced if json.loads(replaced) == hidden else json.dumps(hidden, indent=1) + "\n"


def _hide(value, is_network=False):
    if isinstance(value, list):
        return [_hide(item, is_network) for item in value]
    if not isinstance(value, dict):
        return HIDDEN if is_network and value is not None else value
    return {key: _hide_field(key, item, is_network) for key, item in value.items()}


def _hide_field(key, item, is_network):
    if "password" in key.lower() or is_network and key not in _OPEN:
        return HIDDEN
    return _hide(item, key == "network")


def password(text):
    """Of the network; None where there is none, or no JSON."""
    try:
        return json.loads(text)["network"]["password"]
    except (ValueError, TypeError, KeyError):
        return None
