# SPDX-License-Identifier: MIT
"""What all host tests share: skips of the dual tests, and the three-runtime table at the end."""

import os
import platform

import pytest
import runtimes

_ROWS = pytest.StashKey[list]()
_CPYTHON = pytest.StashKey[runtimes.Row]()


def pytest_configure(config):
    config.stash[_ROWS] = []
    config.stash[_CPYTHON] = runtimes.Row("cpython", f"cpython {platform.python_version()}")


@pytest.fixture(autouse=True, scope="session")
def state_folder(tmp_path_factory):
    """What deploy leaves about a board goes here, not into the home of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(os.environ, "XDG_STATE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def runtime_rows(request):
    """The list that a run in another runtime adds its runtimes.Row to."""
    return request.config.stash[_ROWS]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    # Dual tests cannot import pytest: they skip by raising a class of their own with this name.
    try:
        return (yield)
    except Exception as error:
        if type(error).__name__ != "SkipTest":
            raise
        pytest.skip(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if runtimes.DUAL in item.path.parents:
        row = item.config.stash[_CPYTHON]
        row.seconds += report.duration
        if report.skipped:
            row.skipped += 1
        elif report.failed:
            row.failed += 1
        if report.when == "call" and not report.skipped:
            row.ran += 1
    return report


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash[_ROWS]
    if rows:
        cpython = config.stash[_CPYTHON]
        rows = [cpython, *rows] if cpython.ran or cpython.skipped else rows
        terminalreporter.section("one suite, three runtimes")
        for line in runtimes.table(rows):
            terminalreporter.write_line(line)
