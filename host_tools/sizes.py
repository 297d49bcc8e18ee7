# SPDX-License-Identifier: MIT
"""How much flash the firmware takes, by package and chip, and the bounds it must keep.

python -m host_tools.sizes                           the table; exit status 1 past a bound
python -m host_tools.sizes --write docs/MEASURED.md  puts it between the marks of that page
"""

import argparse
import sys
from pathlib import Path, PurePosixPath

from host_tools import release
from host_tools.errors import DONE, FAILED, ToolError

# A Pico W has 848 kB for files, and two releases must fit beside configuration and log.
MOST_BYTES = {"armv6m": 160_000, "xtensawin": 160_000}
MOST_BLOCKS = 95  # of 4,096 bytes, in littlefs; a Pico W has 212
MOST_FILE_BYTES = 16_000  # loaded in one piece while the heap is still whole
BEGIN, END = "<!-- sizes: made by python -m host_tools.sizes --write -->", "<!-- end of sizes -->"


def by_package(files):
    """{package: (files, bytes)} of {path: bytes}; what lies in no folder of firmline is "app"."""
    packages = {}
    for path, data in files.items():
        parts = PurePosixPath(path).parts
        name = parts[1] if len(parts) > 2 else "app"
        count, size = packages.get(name, (0, 0))
        packages[name] = (count + 1, size + len(data))
    return dict(sorted(packages.items()))


def faults(files_by_architecture):
    """A line for every bound that is passed."""
    found = []
    for architecture, files in files_by_architecture.items():
        total = sum(map(len, files.values()))
        most = MOST_BYTES[architecture]
        if total > most:
            found.append(f"{architecture}: {total} bytes, at most {most}")
        for path, data in files.items():
            if len(data) > MOST_FILE_BYTES:
                found.append(
                    f"{architecture}/{path}: {len(data)} bytes, at most {MOST_FILE_BYTES}"
                )
    return found


def table(files_by_architecture):
    """Lines of Markdown."""
    names = list(files_by_architecture)
    sizes = {name: by_package(files) for name, files in files_by_architecture.items()}
    packages = sorted({package for each in sizes.values() for package in each})
    lines = [f"| package | files | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for package in packages:
        count = max(sizes[name].get(package, (0, 0))[0] for name in names)
        cells = [f"{sizes[name].get(package, (0, 0))[1]:,}" for name in names]
        lines.append(f"| {package} | {count} | {' | '.join(cells)} |")
    files = files_by_architecture[names[0]]
    totals = [f"{sum(map(len, files_by_architecture[name].values())):,}" for name in names]
    bounds = [f"{MOST_BYTES[name]:,}" for name in names]
    lines.append(f"| **all** | {len(files)} | {' | '.join(f'**{each}**' for each in totals)} |")
    lines.append(f"| bound | | {' | '.join(bounds)} |")
    path, data = max(files.items(), key=lambda item: len(item[1]))
    lines.append(f"\nLargest file: `{path}`, {len(data):,} bytes; bound {MOST_FILE_BYTES:,}.")
    return lines


def put(page, lines):
    """`page` (text) with what stands between the marks replaced; ToolError without them."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ToolError(f"the page lacks the marks {BEGIN} and {END}")
    return "\n".join([head + BEGIN, *lines, END + tail])


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m host_tools.sizes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="a page with the two marks")
    options = parser.parse_args(arguments)
    try:
        files = release.build().files
        lines = table(files)
        if options.write:
            page = options.write.read_text(encoding="utf-8")
            options.write.write_text(put(page, lines), encoding="utf-8")
    except (ToolError, OSError) as error:
        print(f"sizes: {error}", file=sys.stderr)
        return getattr(error, "status", FAILED)
    print("\n".join(lines))
    passed = faults(files)
    for line in passed:
        print(f"too large: {line}", file=sys.stderr)
    return FAILED if passed else DONE


if __name__ == "__main__":
    sys.exit(main())
