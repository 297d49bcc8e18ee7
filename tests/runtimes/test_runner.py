# SPDX-License-Identifier: MIT
"""The runner itself: a failing test must turn every runtime red, whatever way it fails."""

import os

import pytest
import runtimes

PASSING = "def test_passes():\n    assert 1 + 1 == 2\n"
SKIPPING = (
    "class SkipTest(Exception):\n    pass\n\n\ndef test_skips():\n    raise SkipTest('not here')\n"
)
FAILURES = {
    "assertion": "def test_fails():\n    assert 1 + 1 == 3\n",
    "exception": "def test_fails():\n    raise OSError(5)\n",
    "exit": "import sys\n\n\ndef test_fails():\n    sys.exit(0)\n",
    "syntax": "def test_fails(:\n",
    "import": "import no_such_module\n\n\ndef test_fails():\n    pass\n",
    "recursion": "def test_fails():\n    test_fails()\n",
}


@pytest.fixture(params=["cpython", "unix64", "wasm32"])
def run(request, tmp_path):
    """Runs a suite given as {module name: source} in one runtime."""

    def run_sources(sources, timeout_s=60):
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        try:
            return runtimes.run(request.param, dual=tmp_path, timeout_s=timeout_s)
        except runtimes.Missing as missing:
            if os.environ.get("CI") == "true":
                pytest.fail(str(missing), pytrace=False)
            pytest.skip(str(missing))

    return run_sources


def test_counts_what_ran_and_what_was_skipped(run):
    row = run({"test_one": PASSING, "test_two": SKIPPING + "\n\n" + PASSING})
    assert row.is_ok, row.output
    assert (row.ran, row.failed, row.skipped) == (2, 0, 1)
    assert "SKIP test_two.test_skips: not here" in row.output


@pytest.mark.parametrize("kind", FAILURES)
def test_failure_is_reported_and_the_rest_still_runs(run, kind):
    row = run({"test_bad": FAILURES[kind], "test_good": PASSING})
    assert not row.is_ok
    assert row.returncode == 1
    assert row.failed == 1, row.output
    assert "FAIL " in row.output
    assert "test_bad" in row.output


def test_no_test_at_all_is_a_failure(run):
    row = run({"test_empty": "VALUE = 1\n"})
    assert not row.is_ok
    assert row.ran == 0


def test_a_hang_is_stopped_and_is_a_failure(run):
    row = run({"test_hang": "def test_hangs():\n    while True:\n        pass\n"}, timeout_s=3)
    assert not row.is_ok
    assert "stopped after 3 s" in row.output


def test_a_heap_left_locked_is_a_failure(run):
    source = (
        "class SkipTest(Exception):\n    pass\n\n\n"
        "def test_leaves_the_heap_locked():\n"
        "    try:\n        from micropython import heap_lock\n"
        "    except ImportError:\n        raise SkipTest('no heap_lock')\n"
        "    heap_lock()\n"
    )
    row = run({"test_lock": source, "test_good": PASSING})
    if row.skipped:
        assert row.runtime == "cpython"
        return
    assert row.failed == 1
    assert "left the heap locked" in row.output


def test_memory_of_one_test_is_free_for_the_next(run):
    source = "".join(
        f"def test_takes_{k:02d}():\n    assert len([bytes(1000) for _ in range(8000)])\n\n\n"
        for k in range(20)
    )
    row = run({"test_memory": source})
    assert row.is_ok, row.output
    assert row.ran == 20


def test_tests_are_counted_from_the_source(tmp_path):
    (tmp_path / "test_one.py").write_text(PASSING + "\n\ndef helper():\n    pass\n")
    (tmp_path / "test_two.py").write_text(PASSING + "\n\n" + PASSING.replace("passes", "again"))
    (tmp_path / "fakes.py").write_text(PASSING)
    assert runtimes.count_tests(tmp_path) == 3
