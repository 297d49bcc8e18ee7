# SPDX-License-Identifier: MIT
"""The codes of the controller in words, made from the names of the firmware's own constants.

The words live here and not on the chip, where each of them would cost heap.
"""

from firmline.core import escalation, freshness, guard, limits, mode
from firmline.devices import ct
from firmline.services import ct_meter, eventlog, headend


def _words(module, names):
    return {getattr(module, name): name.lower().replace("_", " ") for name in names}


MODES = _words(mode, ("START", "NORMAL", "HOLD", "FALLBACK", "TRIPPED", "SAFE"))
STAGES = _words(escalation, ("INSIDE", "CUT", "TO_MINIMUM", "PAUSE", "TRIP"))
HEAD_END = _words(headend, ("NEVER", "ALIVE", "SILENT"))
SOURCES = _words(limits, ("FIRM", "DYNAMIC", "CEILING", "EMERGENCY"))
TRUST = _words(freshness, ("FRESH", "LATE", "LOST"))
CAUSES = _words(
    guard, ("RANGE", "BUDGET_IMPORT", "BUDGET_EXPORT", "HELD", "FELL_BACK", "STAGE", "TRIPPED")
)
_INPUT_FAULTS = _words(ct, ("OPEN", "SATURATED", "NO_VOLTAGE"))
EVENTS = {
    value: name[2:].lower()
    for module in (eventlog, ct_meter)
    for name, value in vars(module).items()
    if name.startswith("E_")
}
_VALUES = {
    "mode": MODES,
    "stage": STAGES,
    "head_end": HEAD_END,
    "meter": TRUST,
    "excursion_limit": SOURCES,
}
_FORMS = {
    "limit_changed": "import limit {} W",
    "locked": "off until an installer has been here, after {} trips",
    "unlocked": "by an installer, with the service jumper",
    "config_refused": "generation {} is damaged or makes no sense, an older one counts",
    "config_other": "config.json is not the stored one, which is in force: generation {}",
}
_SIDED = {"excursion": "{} s", "excursion_w": "{} W beyond", "excursion_wh": "{} Wh beyond"}


def of(words, code):
    """The word of a code, also of one that this version does not know."""
    return words.get(code, f"code {code}")


def causes(bits):
    """The words of the guard's reasons."""
    return [word for bit, word in sorted(CAUSES.items()) if bits & bit]


def input_faults(bits):
    """The words of a CtInput's `faults`."""
    width = ct.FAULT_BITS
    found = [
        f"input {k + 1} {word}"
        for k in range(3)
        for bit, word in sorted(_INPUT_FAULTS.items())
        if bits >> width * k & bit
    ]
    return ", ".join(found) or "none"


def event_text(name, value, resources=()):
    """An event's value as a person reads it. resources: names in the order of the index."""
    if name in _VALUES:
        return of(_VALUES[name], value)
    if name in _SIDED:
        side = "export" if value < 0 else "import"
        return f"{side}, {_SIDED[name].format(abs(value))}"
    if name in ("device_lost", "device_back"):
        return resources[value] if 0 <= value < len(resources) else f"resource {value + 1}"
    if name == "meter_fault":
        return input_faults(value)
    if name == "store":
        return "cannot be kept" if value < 0 else f"{value} files are damaged and not used"
    if name in _FORMS:
        return _FORMS[name].format(value)
    return "" if name == "start" and value == 0 else str(value)
