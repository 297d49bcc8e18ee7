# SPDX-License-Identifier: MIT
"""The tree holds nothing of the machine it was written on, and every source says its licence."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "tests/runtimes/package-lock.json"
# An absolute path, not the end of a relative one or of an address.
MACHINE_PATH = re.compile(r"(?<![\w.~$})-])/(?:work|tmp|root|home|Users)/")
SPDX = "SPDX-License-Identifier: MIT"
SOURCES = (".py", ".pyi", ".mjs", ".js")


def tree_files():
    """What is committed or would be: tracked files and untracked ones that are not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git work tree")
    files = sorted({ROOT / name for name in done.stdout.split("\0") if name})
    return [file for file in files if file.is_file()]


def text_of(file):
    """The text of a file, or None if it holds something else."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def machine_paths(name, text):
    return [
        f"{name}:{number}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]


def test_no_file_holds_a_path_of_this_machine():
    found = []
    for file in tree_files():
        found += machine_paths(file.relative_to(ROOT), text_of(file) or "")
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize("folder", ["work", "tmp", "root", "home"])
def test_such_a_path_would_be_found(folder):
    assert machine_paths("a.py", f"x = '/{folder}/someone'")
    assert machine_paths("a.md", f"see /{folder}/someone")
    assert not machine_paths("a.md", f"build/{folder}/x ../{folder}/x example.org/{folder}/x")


def test_every_source_names_its_licence():
    # An empty __init__.py has nothing to license.
    sources = [file for file in tree_files() if file.suffix in SOURCES and file.stat().st_size]
    missing = [
        str(file.relative_to(ROOT))
        for file in sources
        if not any(SPDX in line for line in text_of(file).splitlines()[:2])
    ]
    assert sources
    assert not missing, missing


def test_the_package_lock_names_no_download_address():
    assert '"resolved"' not in LOCK.read_text(encoding="utf-8")
