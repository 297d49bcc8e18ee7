# SPDX-License-Identifier: MIT
"""Current transformers on the emulated chip: converter, DMA, kernels as machine code, figures.

The image is the official one and the waveform is in the chip's own time, so that a wrong rate, a
wrong order of the inputs or a window that is not whole shows in the amps.
"""

import ast
import math

import pytest

from host_tools.compile import FIRMWARE_DIR, compiled, compiled_text
from tests.pico.runs import short_calls

NAMES = "core/units devices/ct devices/ct_kernel hal/rp2_adc".split()
AMPLITUDE = 500 * math.sqrt(2)  # 500 counts RMS: 40.28 A of a 100 A / 1 V transformer

MAIN = """
import micropython, time
from firmline.devices import ct
from firmline.hal.rp2_adc import AdcWindows
adc = AdcWindows({inputs}, {hz})
meter = ct.CtInput(adc, [{amps}] * {currents}, {volts}, 2300)
said = []
worst = idle = pieces = 0
while meter.samples < {windows} and time.ticks_ms() < {until_ms}:
    was = meter.samples
    faults = meter.faults
    start = time.ticks_us()
    micropython.heap_lock()
    meter.poll(time.ticks_ms())
    micropython.heap_unlock()
    took = time.ticks_diff(time.ticks_us(), start)
    if took > 400:
        worst = max(worst, took)
        pieces += took
    else:
        idle = max(idle, took)
    if meter.samples != was:
        said.append((meter.sampled_ms, list(meter.l_ma), list(meter.l_w), meter.l_dv[0]))
    time.sleep_ms({rest_ms} if meter._step < 0 else 1)
while time.ticks_ms() < 2000:
    time.sleep_ms(10)
print(repr(dict(said=said, worst_us=worst, idle_us=idle, pieces_us=pieces,
    overruns=adc.overruns, faults=meter.faults)))
print("done")
"""


def run(boot, analog, **changed):
    """What MAIN said, with the firmware modules as a board has them."""
    settings = {"inputs": 3, "hz": 50, "currents": 2, "amps": 20625, "volts": 474}
    settings |= {"windows": 4, "until_ms": 1900, "rest_ms": 1} | changed
    files = {}
    for name in NAMES:
        name = f"firmline/{name}.py"
        files[name.removesuffix(".py") + ".mpy"] = compiled(FIRMWARE_DIR / name, name)
    return console(boot(MAIN.format(**settings), files, analog=analog))


def console(chip):
    """The dictionary that the chip prints before it is done."""
    said = ""
    while "done" not in said and chip.now_us < 4e6:
        said += "".join(event[2] for event in chip.run(chip.now_us + 50_000) if event[0] == "text")
    lines = [line for line in said.splitlines() if line.startswith("{")]
    assert lines, said
    return ast.literal_eval(lines[0])


def site(hz=50, late=(0, 0)):
    """Two currents and the voltage (230 V are 1,241 counts RMS) on GP26, 27, 28."""
    volts = 1241.2 * math.sqrt(2)
    return {
        0: (2048, AMPLITUDE, hz, late[0]),
        1: (2100, AMPLITUDE / 2, hz, late[1]),
        2: (2010, volts, hz, 0),
    }


def test_amps_volts_and_watts_of_a_known_waveform_at_60_hz(boot):
    found = run(boot, site(60), hz=60)

    for _, l_ma, l_w, l_dv in found["said"][1:]:
        assert l_ma[:2] == [pytest.approx(40283, rel=0.004), pytest.approx(20142, rel=0.004)]
        assert l_w[:2] == [pytest.approx(9265, rel=0.006), pytest.approx(4633, rel=0.006)]
        assert l_dv == pytest.approx(2300, rel=0.003)
    times = [sample[0] for sample in found["said"]]
    gaps = [b - a for a, b in zip(times[:-1], times[1:])]
    assert gaps == [pytest.approx(133.3, abs=7)] * len(gaps)
    assert (found["overruns"], found["faults"]) == (0, 0)
    assert found["worst_us"] <= 1_600, "one poll's piece of a window"
    assert found["pieces_us"] / len(found["said"]) <= 6_000, "a whole window"
    print({key: found[key] for key in ("worst_us", "idle_us", "pieces_us")})


def test_export_has_a_sign_and_a_shifted_current_its_cosine(boot):
    _, l_ma, l_w, _ = run(boot, site(late=(180, 60)), windows=3)["said"][-1]
    assert l_ma[:2] == [pytest.approx(40283, rel=0.004), pytest.approx(20142, rel=0.004)]
    assert l_w[0] == pytest.approx(-9265, rel=0.006)
    assert l_w[1] == pytest.approx(2316, rel=0.012)


@pytest.mark.parametrize(
    "fault, wave", [(1, (4000, 20, 50, 0)), (2, (2048, 2600, 50, 0))], ids=["out", "overdriven"]
)
def test_a_ct_that_is_out_or_overdriven_gives_no_sample(boot, fault, wave):
    found = run(boot, site() | {0: wave}, until_ms=1000)
    assert found["said"] == [] and found["faults"] & fault


def test_windows_that_nobody_takes_are_counted(boot):
    found = run(boot, site(), rest_ms=300, windows=3, until_ms=2000)
    assert found["overruns"] >= 2
    assert found["said"][-1][1][0] == pytest.approx(40283, rel=0.004)


TWINS = """
import time
from array import array
from firmline.devices import ct_kernel as fast
import ct_plain as plain
seed = 1
samples = array("H", [0] * (9 + 512 * 4))
for k in range(len(samples)):
    seed = (seed * 1103 + 12345) & 0xFFFFF
    samples[k] = 4095 if k % 97 == 0 else 0 if k % 89 == 0 else seed >> 8
same = []
took = [0, 0]
for step, start, offset, base in ((4, 0, 1600, 2500), (2, 1, 2500, 1600), (1, 0, 2048, 2048)):
    works = []
    for kernel in (fast, plain):
        work = array("i", [offset, 0, 0, 0, 0, 0, base, 1, 1 - step, 3, 0, 0])
        begin = time.ticks_us()
        kernel.square_sums(samples, 5 + start, step, work)
        kernel.product_sums(samples, 5, 5 + start, step, work)
        took[kernel is plain] = time.ticks_diff(time.ticks_us(), begin)
        works.append(list(work))
    same.append(works[0] == works[1])
while time.ticks_ms() < 2000:
    time.sleep_ms(10)
print(repr(dict(same=same, took=took)))
print("done")
"""


def test_machine_code_gives_what_bytecode_gives(boot):
    files = {}
    for name in ("firmline/core/units.py", "firmline/devices/ct_kernel.py"):
        files[name.removesuffix(".py") + ".mpy"] = compiled(FIRMWARE_DIR / name, name)
    text = (FIRMWARE_DIR / "firmline/devices/ct_kernel.py").read_text()
    files["ct_plain.mpy"] = compiled_text(short_calls(text), "ct_plain.py", "armv6m")
    found = console(boot(TWINS, files))
    assert found["same"] == [True, True, True]
    assert found["took"][1] > 10 * found["took"][0]
