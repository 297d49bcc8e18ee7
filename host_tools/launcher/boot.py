# SPDX-License-Identifier: MIT
"""Put here by `firmline deploy`. Chooses the firmware, /a or /b, and runs the boot.py of it.

/slot says which: "a"; or "ba": b this once, a from then on, so that a firmware that does not come
up is left behind by the next start, whoever caused it. Deploy makes that "b" when b is well.
"""

import os
import sys


def choose():
    """The slot to start, "a" or "b"; "" where none was deployed."""
    try:
        with open("/slot") as file:
            text = file.read(2)
    except OSError:
        return ""
    if len(text) < 2:
        return text
    try:
        with open("/slot.new", "w") as file:
            file.write(text[1])
        os.rename("/slot.new", "/slot")
    except OSError:
        return text[1]  # what cannot be undone is not tried
    return text[0]


def start(slot):
    sys.path.insert(0, "/" + slot)
    try:
        with open("/" + slot + "/boot.py") as file:
            text = file.read()
        exec(text, {"__name__": "__main__"})
    except Exception as error:
        with open("/slot") as file:
            if file.read(1) == slot:
                raise
        import machine

        with open("/slot.why", "w") as file:
            file.write(repr(error))
        machine.reset()


slot = choose()
if slot:
    start(slot)
