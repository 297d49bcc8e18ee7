# SPDX-License-Identifier: MIT
"""`python -m hil.targets.pico.install`: the emulator's package beside its own files, by npm."""

import shutil
import subprocess
import sys
from pathlib import Path

from hil.targets.firmware import TargetError
from hil.targets.pico.chip import HERE, find_node


def npm():
    """The command that runs npm, with the Node.js that the target takes."""
    beside = Path(find_node()).parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    if beside.exists():
        return [find_node(), str(beside)]
    found = shutil.which("npm")
    if not found:
        raise TargetError("target pico: node is there, but npm is not")
    return [found]


def main():
    try:
        return subprocess.run([*npm(), "ci", "--no-fund"], cwd=HERE, check=False).returncode
    except TargetError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
