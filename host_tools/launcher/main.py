# SPDX-License-Identifier: MIT
"""Put here by `firmline deploy`. Runs the main.py of the slot that boot.py chose.

Leaves `end_of_main` for deploy to read; a firmware on trial that ends in an error is left behind
at once.
"""

import sys

end_of_main = ""


def start(path):
    global end_of_main
    try:
        with open(path + "/main.py") as file:
            text = file.read()
        exec(text, {"__name__": "__main__"})
        end_of_main = "returned"
    except BaseException as error:
        end_of_main = repr(error)
        if isinstance(error, Exception) and is_on_trial(path):
            leave(error)
        raise


def is_on_trial(path):
    """Was this slot chosen for one start only? Then /slot names the other one by now."""
    with open("/slot") as file:
        return "/" + file.read(1) != path


def leave(error):
    import machine

    with open("/slot.why", "w") as file:
        file.write(repr(error))
    machine.reset()


if sys.path[0] in ("/a", "/b"):
    start(sys.path[0])
else:
    print("firmline: there is no firmware here: firmline deploy")
