# SPDX-License-Identifier: MIT
"""What a board keeps in memory once the controller runs. Called by app.start; not kept itself."""

import gc
import sys

# Needed to build the controller, and dropped once it runs: 30 kB on a board
_START_ONLY = (
    "firmline.devices.batteries",
    "firmline.devices.catalog",
    "firmline.devices.evse",
    "firmline.devices.inverters",
    "firmline.devices.layout",
    "firmline.devices.meters",
    "firmline.hal.choose",
    "firmline.hal.detect",
    "firmline.hal.wired",
    "firmline.services.assembly",
    "firmline.services.boot",
    "firmline.services.config",
    "firmline.services.config_checks",
    "firmline.services.config_ct",
    "firmline.services.config_fields",
    "firmline.services.config_source",
    "firmline.services.config_text",
    "firmline.services.journal_save",
    "firmline.services.journal_start",
    "firmline.services.memory",
    "firmline.services.register_map",
    "firmline.services.store",
    "firmline.version",
)


# Classes of which no object is made once the controller runs
_BUILT_ONCE = (
    "firmline.app",
    "firmline.core",
    "firmline.devices",
    "firmline.hal",
    "firmline.modbus",
    "firmline.services.bus",
    "firmline.services.eventlog",
    "firmline.services.excursions",
    "firmline.services.headend",
    "firmline.services.journal",
    "firmline.services.outputs",
    "firmline.services.registers",
    "firmline.services.sensing",
    "firmline.services.telemetry",
    "firmline.services.tools",
)


# Functions that only constructors and modules of the start call (a test compares)
_OPENS = (
    "gap_ms",
    "gap_us",
    "guard_outputs",
    "indices_of",
    "remember",
    "watch",
    "watts_array",
)


def tidy(is_small):
    """Drop the modules of the start; where memory is small, constructors too."""
    if is_small:
        empty(_START_ONLY)
    forget(_START_ONLY)
    if is_small:
        for name in list(sys.modules):
            if _is_among(name, _BUILT_ONCE):
                strip(sys.modules[name])
            if name.startswith("firmline") and hasattr(sys.modules[name], "__file__"):
                del sys.modules[name].__file__  # its text: 50 bytes each
        gc.collect()


def _is_among(name, names):
    """`name` is one of them, or below one."""
    for start in names:
        if name == start or name.startswith(start + "."):
            return True
    return False


def forget(names):
    """Take modules out of memory, those below a package too. Who still holds one keeps it."""
    for name in list(sys.modules):
        if _is_among(name, names):
            above, _, own = name.rpartition(".")
            if above in sys.modules and hasattr(sys.modules[above], own):
                delattr(sys.modules[above], own)
            del sys.modules[name]
    gc.collect()


def empty(names):
    """Take everything out of these modules but this one. Any word of the memory that looks like
    an address keeps what is there, and all that it leads to: now that is next to nothing."""
    for name in names:
        if name in sys.modules and name != __name__:
            module = sys.modules[name]
            for own in list(module.__dict__):
                setattr(module, own, None)


def strip(module):
    """Take out of it and its classes what only builds an object."""
    for name in _OPENS:
        if name in module.__dict__:
            setattr(module, name, None)
    for kind in list(module.__dict__.values()):
        if isinstance(kind, type):
            for name in list(kind.__dict__):
                if name == "__init__" or name.lstrip("_").startswith("open_") or name in _OPENS:
                    setattr(kind, name, None)
