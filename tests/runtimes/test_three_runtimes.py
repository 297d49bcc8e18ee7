# SPDX-License-Identifier: MIT
"""The tests of tests/dual pass on 64-bit and on 32-bit MicroPython, and none gets lost on the way.

CPython runs them as ordinary pytest tests; here they run in a process of each MicroPython.
"""

import os

import pytest
import runtimes

SMALL_INT_BITS = {"unix64": 63, "wasm32": 31}


@pytest.mark.timeout(runtimes.RUN_TIMEOUT_S + 30)
@pytest.mark.parametrize("runtime", ["unix64", "wasm32"])
def test_suite_passes_on(runtime, runtime_rows, record_property):
    try:
        row = runtimes.run(runtime)
    except runtimes.Missing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    runtime_rows.append(row)
    for name in ("version", "small_int_bits", "heap_lock", "ran", "failed", "skipped"):
        record_property(f"{runtime}.{name}", getattr(row, name))
    if not row.is_ok:
        pytest.fail(f"{runtime}, exit status {row.returncode}:\n{row.output}", pytrace=False)
    assert row.small_int_bits == SMALL_INT_BITS[runtime]
    assert row.heap_lock
    assert row.ran + row.skipped == runtimes.count_tests()
