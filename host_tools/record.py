# SPDX-License-Identifier: MIT
"""The commissioning record: what was set, by which tool, when, and what was measured.

A JSON object. Its last field, `sha256`, is over the rest in canonical form (sorted keys, no
spaces, UTF-8): who changes a figure has to change that too, and it stands in the report and on
the controller.
"""

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path

from firmline.services.config import ceiling_w, circuit_a, circuit_w
from firmline.version import VERSION
from host_tools import reading
from host_tools.config import hashes
from host_tools.written import write_whole

FORMAT = 1


def build(identity, details, data, config, checks, notes):
    """identity: of Device.as_json; details: of the identity file; data: bytes of the
    configuration in force; config: the same with its defaults; notes: lines for the record."""
    verdict = "FAIL" if any(row["verdict"] == "FAIL" for row in checks) else "PASS"
    site = config["site"]
    keys = ("model", "serial", "firmware", "micropython", "boots")
    body = {
        "format": FORMAT,
        "time_utc": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "tool": f"firmline {VERSION}",
        "device": {
            "model": identity["model"],
            "serial": identity["serial"],
            "firmware": identity["version"],
        }
        | {key: details[key] for key in keys if key in details},
        "configuration": hashes(data) | {"generation": details.get("config_generation", 0)},
        "site": {
            key: site[key]
            for key in ("name", "phases", "voltage_v", "service_a", "firm_import_w")
            + ("firm_export_w", "firm_a", "worst_case_load_w", "response_s")
        }
        | {
            "ceiling_a": circuit_a(site),
            "ceiling_import_w": ceiling_w(site),
            "ceiling_export_w": circuit_w(site),
        },
        "devices": [_device(device) for device in config["devices"]],
        "checks": checks,
        "notes": notes,
        "verdict": verdict,
    }
    return body | {"sha256": digest(body)}


def _device(device):
    return {key: device[key] for key in ("name", "type", "bus", "unit", "pin") if key in device}


def digest(body):
    """SHA-256 over everything but the field sha256, canonical."""
    body = {key: value for key, value in body.items() if key != "sha256"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def as_text(record):
    """The record for people, 80 columns where names are short."""
    device, config, site = record["device"], record["configuration"], record["site"]
    lines = [
        f"Commissioning record of {site['name']}: {record['verdict']}",
        "",
        f"when           {record['time_utc']}",
        f"tool           {record['tool']}",
        f"controller     {device['model']}, serial {device['serial']}, Firmline "
        f"{device['firmware']}",
        f"configuration  generation {config['generation']}, {config['bytes']} bytes, "
        f"CRC32 {config['crc32']}",
        f"               SHA-256 {config['sha256']}",
        f"firm limits    import {reading.watts(site['firm_import_w'])}, "
        f"export {reading.watts(site['firm_export_w'])}, {site['firm_a']} A a conductor",
        f"ceiling        import {reading.watts(site['ceiling_import_w'])}, "
        f"export {reading.watts(site['ceiling_export_w'])}, {site['ceiling_a']} A a conductor",
        f"response       inside again within {site['response_s']} s",
        "",
    ]
    for row in record["checks"]:
        lines += check_lines(row)
    lines += ["", *(f"note: {note}" for note in record["notes"])]
    lines += ["", f"SHA-256 of this record: {record['sha256']}"]
    lines += ["Not a certificate: Firmline is shaped after standards and claims none.", ""]
    return "\n".join(lines)


def check_lines(row):
    """A check on two or three lines."""
    yield f"{row['verdict']:5} {row['what']}: {row['measured']}"
    if row["verdict"] == "FAIL" or row["note"]:
        note = f"; {row['note']}" if row["note"] else ""
        yield f"      accepted: {row['accepted']}{note}"


def save(record, folder):
    """NAME.json and NAME.txt in `folder` (made if need be); the path without its ending."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = (record["site"]["name"], record["device"]["serial"], record["time_utc"])
    name = "-".join(re.sub(r"[^A-Za-z0-9]+", "_", str(part)).strip("_") for part in parts)
    write_whole(folder / f"{name}.txt", as_text(record))
    write_whole(folder / f"{name}.json", json.dumps(record, indent=1) + "\n")
    return folder / name
