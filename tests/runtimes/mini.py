# SPDX-License-Identifier: MIT
"""A test runner small enough for every MicroPython; it runs on CPython too.

    micropython -X heapsize=16m mini.py FIRMWARE DUAL MODULE...

Runs every `def test_*()` of the named modules, in order of name. A test that raises an exception
whose class is called SkipTest is skipped. Prints one line about the runtime, a traceback for each
failure, and last `ran N tests, F failed, S skipped`. Exit status 1 unless something ran and
nothing failed.

A host that collects garbage only between calls from outside (the WebAssembly port) drives a
Runner itself: `while runner.step()`.
"""

import gc
import sys

try:
    import micropython
except ImportError:
    micropython = None

_SMALL_INT_SEARCH = 64


def small_int_bits():
    """Width of the integers that need no heap, measured: 31, 63, or 0 where nothing can tell."""
    if not hasattr(micropython, "heap_lock"):
        return 0
    bits = 0
    micropython.heap_lock()
    try:
        while bits < _SMALL_INT_SEARCH:
            1 << bits  # noqa: B018 - the first value that needs the heap raises MemoryError
            bits += 1
    except MemoryError:
        pass
    micropython.heap_unlock()
    return bits + 1


def yes_no(flag):
    return "yes" if flag else "no"


def describe():
    """The line that tells which runtime this is; read back by runtimes.py."""
    version = sys.implementation[1] if micropython else sys.version_info
    name = ".".join([str(part) for part in version[:3]])
    if len(version) > 3 and version[3] and version[3] != "final":
        name += "-" + version[3]
    return "runtime name=%s version=%s small_int_bits=%d heap_lock=%s mem_total=%s" % (
        sys.implementation.name if hasattr(sys.implementation, "name") else "micropython",
        name,
        small_int_bits(),
        yes_no(hasattr(micropython, "heap_lock")),
        yes_no(hasattr(micropython, "mem_total")),
    )


def print_exception(error):
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error, file=sys.stdout)


def unlock_heap():
    """Undo what a test left locked. Returns whether it had."""
    if not hasattr(micropython, "heap_lock"):
        return False
    micropython.heap_lock()
    was_locked = False
    while micropython.heap_unlock():
        was_locked = True
    return was_locked


class Runner:
    def __init__(self, module_names):
        self._modules = list(module_names)
        self._module = None
        self._tests = []
        self.upcoming = ""  # what the next step runs: says where a runtime died
        self.ran = 0
        self.failed = 0
        self.skipped = 0
        print(describe())
        self._look_ahead()

    def _look_ahead(self):
        if self._tests:
            self.upcoming = self._module.__name__ + "." + self._tests[0]
        elif self._modules:
            self.upcoming = "import " + self._modules[0]
        else:
            self.upcoming = ""

    def step(self):
        """Import one module or run one test. Returns whether there is more to do."""
        if self._tests:
            self._run(self._tests.pop(0))
        elif self._modules:
            self._load(self._modules.pop(0))
        self._look_ahead()
        return self.upcoming != ""

    def _load(self, name):
        try:
            self._module = __import__(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a module that cannot be imported is one failure
            self._fail("import " + name, error)
            return
        found = [item for item in dir(self._module) if item.startswith("test_")]
        self._tests = sorted([item for item in found if callable(getattr(self._module, item))])

    def _run(self, name):
        title = self._module.__name__ + "." + name
        try:
            getattr(self._module, name)()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            unlock_heap()
            if type(error).__name__ == "SkipTest":
                self.skipped += 1
                print("SKIP " + title + ": " + str(error))
                return
            self.ran += 1
            self._fail(title, error)
            return
        self.ran += 1
        if unlock_heap():
            self.failed += 1
            print("FAIL " + title + ": left the heap locked")

    def _fail(self, title, error):
        self.failed += 1
        print("FAIL " + title)
        print_exception(error)

    def finish(self):
        """Print the closing line. Returns the exit status."""
        print("ran %d tests, %d failed, %d skipped" % (self.ran, self.failed, self.skipped))
        return 0 if self.ran and not self.failed else 1


def main(arguments):
    firmware, dual = arguments[:2]
    sys.path.insert(0, dual)
    sys.path.insert(0, firmware)
    runner = Runner(arguments[2:])
    while runner.step():
        gc.collect()
    return runner.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
