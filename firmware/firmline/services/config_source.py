# SPDX-License-Identifier: MIT
"""Which configuration counts at a start: the newest generation in the store that validates, else
the older one, else config.json as it was copied by hand. Never a part of one, never a mixture.

Called once at start, not needed afterwards. What was refused or is damaged is recorded, and
said in the log.
"""

from firmline.services.config import ConfigError, load
from firmline.services.store import TwoGenerations

SCHEMA = 1
MOST_BYTES = 16384


def load_in_force(hardware):
    """The configuration, complete and checked, with a dict "source": generation (0: config.json),
    bytes, refused (generation that was not used, 0: none), is_other (config.json differs from it).
    ConfigError, OSError or ValueError where there is none that validates."""
    refused = 0
    if getattr(hardware, "files", None) is not None:
        store = TwoGenerations(hardware.files, "config", SCHEMA, MOST_BYTES)
        room = max(hardware.files.size("config.0"), hardware.files.size("config.1"), 0)
        buffer = bytearray(room)
        n = store.read(buffer) if room else -1
        if store.refused:  # a commit that was cut off, or flash that has lost a bit
            refused = store.generation + 1
            text = "configuration: %d of the stored files damaged, generation %d counts"
            hardware.record_cause(text % (store.refused, store.generation))
        if n >= 0:
            config = _checked(hardware, store, buffer, n)
            if config is None:
                refused = store.generation
                n = store.read_older(buffer)
                if n >= 0:
                    config = _checked(hardware, store, buffer, n)
            if config is not None:
                is_other = _is_other(hardware, buffer, n)
                config["source"] = _source(store.generation, n, refused, is_other)
                return config
    text = hardware.read_config()
    config = load(text)
    config["source"] = _source(0, len(text.encode()), refused, False)
    return config


def _source(generation, length, refused, is_other):
    return {"generation": generation, "bytes": length, "refused": refused, "is_other": is_other}


def _checked(hardware, store, buffer, n):
    """The configuration in the first n bytes, None if it is refused."""
    try:
        return load(str(memoryview(buffer)[:n], "utf-8"))
    except (ConfigError, ValueError) as error:  # ValueError: not a text
        hardware.record_cause("configuration %d is not used: %s" % (store.generation, error))
        return None


def _is_other(hardware, buffer, n):
    """config.json is there, and says something else."""
    try:
        return hardware.read_config().encode() != bytes(memoryview(buffer)[:n])
    except (OSError, ValueError):
        return False
