# SPDX-License-Identifier: MIT
"""Run many variants, on this machine's cores or on a Dask cluster, and keep one row of each."""

import csv
import json
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from hil.campaign.variants import variant
from hil.conformance.metrics import lookup
from hil.scenarios.check import BadInput

METRICS = (
    "import_longest_excursion_s",
    "export_longest_excursion_s",
    "current_longest_excursion_s",
    "import_peak_over_w",
    "export_peak_over_w",
    "response_s.max",
    "headroom_used",
)
COLUMNS = ("number", "scenario", "faults", "verdict", *METRICS)


def one(folder, seed, number):
    """Run variant `number`; one row of the table, a dict of COLUMNS."""
    from hil.bench import Bench
    from hil.targets.stepped import VirtualTarget

    scenario = variant(Path(folder), seed, number)
    with tempfile.TemporaryDirectory() as work_dir:
        result = Bench(scenario, VirtualTarget, work_dir).run()
    faults = " ".join(f"{f.kind}:{f.target}:{f.from_s:.1f}-{f.to_s:.1f}" for f in scenario.fault)
    row = {"number": number, "scenario": scenario.name, "faults": faults}
    row["verdict"] = result.verdict
    return row | {name: lookup(result.metrics, name) for name in METRICS}


def numbers(runs, shard):
    """The variants of shard "i/n" (1-based); BadInput when it is not one."""
    try:
        part, parts = (int(text) for text in shard.split("/"))
    except ValueError:
        part, parts = 0, 0
    if not 1 <= part <= parts:
        raise BadInput(f"--shard {shard}: expected i/n with 1 <= i <= n, such as 1/4")
    return range(part - 1, runs, parts)


def run(folder, seed, chosen, dask, progress=None):
    """All rows of the variants `chosen`, in their order. dask: a scheduler's address or None."""
    rows = []
    for row in _on_dask(folder, seed, chosen, dask) if dask else _on_cores(folder, seed, chosen):
        rows.append(row)
        if progress is not None:
            progress(len(rows) / len(chosen))
    return sorted(rows, key=lambda row: row["number"])


def _on_cores(folder, seed, chosen):
    with ProcessPoolExecutor() as pool:
        futures = [pool.submit(one, str(folder), seed, number) for number in chosen]
        for future in as_completed(futures):
            yield future.result()


def _on_dask(folder, seed, chosen, address):
    try:
        from distributed import Client
        from distributed import as_completed as completed
    except ImportError:
        raise BadInput("--dask: needs the package distributed: pip install distributed") from None
    with Client(address) as client:
        futures = client.map(one, [str(folder)] * len(chosen), [seed] * len(chosen), list(chosen))
        for future in completed(futures):
            yield future.result()


def write(rows, seed, out_dir):
    """campaign.csv with a row a run, campaign.json with the counts and what failed."""
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    with open(out_dir / "campaign.csv", "w", newline="") as stream:
        table = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    verdicts = [row["verdict"] for row in rows]
    summary = {
        "seed": seed,
        "runs": len(rows),
        "passed": verdicts.count("PASS"),
        "failed": [row["number"] for row in rows if row["verdict"] != "PASS"],
        "worst": {name: _worst(rows, name) for name in METRICS},
    }
    (out_dir / "campaign.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def _worst(rows, name):
    values = [row[name] for row in rows if row[name] is not None]
    return (min if name == "headroom_used" else max)(values, default=None)
