# SPDX-License-Identifier: MIT
"""One SDM630 alone on a wire, polled as fast as it goes: how much of what the wire and the meter's
response delay allow is used. Shared by `make bench` (virtual) and `make bench-pico` (the chip).

The ideal of one read is request, response delay, reply at 10 bits a byte, and the silence that
has to follow: 3.5 characters, above 19,200 Bd 1.75 ms (Modbus over Serial Line V1.02, 2.5.1.1).
"""

from dataclasses import replace

from hil.bench import Bench
from hil.options import SCENARIOS
from hil.scenarios.load import load

BAUDS = (9600, 19200, 38400, 115200)
FROM_S = 4  # what comes before is starting up
REQUEST_BYTES = 8
SAMPLE_BYTES, VOLTAGE_BYTES = 29, 17  # the read of currents and powers, and that of the voltages


def scenario(baud, seconds):
    """The meter of quiet_day alone (reply delay 10 ms), asked at once after each reply."""
    quiet = load(SCENARIOS / "quiet_day.toml")
    meter = next(d for d in quiet.device if d.role == "meter")
    meter = replace(meter, config=meter.config | {"poll_ms": 10})
    bus = ({**quiet.bus[0], "baud": baud},)
    duration_s = float(FROM_S + seconds)
    return replace(quiet, device=(meter,), bus=bus, duration_s=duration_s, expect=())


def silence_us(baud):
    """That has to follow a frame."""
    return 35_000_000 / baud if baud <= 19200 else 1750


def ideal_us(baud, reply_bytes, delay_us):
    byte_us = 10_000_000 / baud
    return (REQUEST_BYTES + reply_bytes) * byte_us + delay_us + silence_us(baud)


def measure(baud, seconds, target, work_dir, progress=None):
    """{samples_per_s, ideal_per_s, share, bytes_share, shortest_gap_us, cycles_per_s}.

    share: of the ideal, the reads of the voltages (one a second) counted with their own ideal.
    shortest_gap_us: from the end of a reply to the next request, on the wire.
    """
    bench = Bench(scenario(baud, seconds), target, work_dir)
    wire = next(iter(bench.wires.values()))
    wire.log = []
    cycles = []
    bench.world.at(FROM_S * 1_000_000, lambda: cycles.append(bench.target.view.get("T_CYCLES")))
    bench.run(progress)
    cycles.append(bench.target.view.get("T_CYCLES"))
    (device,) = bench.devices.values()
    return _figures(wire, device.response_delay_us, seconds, cycles[1] - cycles[0])


def _figures(wire, delay_us, seconds, cycles):
    baud = wire.baud
    end_us = (FROM_S + seconds) * 1_000_000
    log = [entry for entry in wire.log if FROM_S * 1_000_000 <= entry[0] <= end_us]
    replies = [len(data) for _, way, data in log if way == "<"]
    gaps = [
        after[0] - before[0]
        for before, after in zip(log, log[1:], strict=False)
        if before[1] == "<" and after[1] == ">"
    ]
    ideal = sum(ideal_us(baud, count, delay_us) for count in replies)
    bytes_us = sum((REQUEST_BYTES + count) * 10_000_000 / baud for count in replies)
    return {
        "samples_per_s": round(replies.count(SAMPLE_BYTES) / seconds, 2),
        "ideal_per_s": round(1e6 / ideal_us(baud, SAMPLE_BYTES, delay_us), 2),
        "share": round(ideal / seconds / 1e6, 3),
        "bytes_share": round(bytes_us / seconds / 1e6, 3),
        "shortest_gap_us": round(min(gaps)) if gaps else None,
        "required_gap_us": round(silence_us(baud)),
        "cycles_per_s": round(cycles / seconds, 2),
    }


def line(baud, row):
    return (
        f"{baud:6} Bd {row['samples_per_s']:6.2f} samples/s of {row['ideal_per_s']:.2f}, "
        f"{100 * row['share']:5.1f} % of the ideal; {row['cycles_per_s']:.2f} cycles/s; shortest "
        f"silence {row['shortest_gap_us']} us (required {row['required_gap_us']})"
    )
