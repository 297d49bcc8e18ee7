# SPDX-License-Identifier: MIT
"""The files that a command writes for its user: whole or not at all, and refused beforehand."""

import os
import tempfile
from pathlib import Path

from host_tools.errors import BadInput


def check_writable(path, option):
    """BadInput, before anything is done, where a file cannot be written."""
    folder = Path(path).resolve().parent
    if Path(path).is_dir():
        raise BadInput(f"{option} {path}: is a folder: expected a file")
    if not folder.is_dir():
        raise BadInput(f"{option} {path}: the folder {folder} does not exist")
    target = path if os.path.exists(path) else folder
    if not os.access(target, os.W_OK):
        raise BadInput(f"{option} {path}: no permission to write there")


def write_whole(path, text):
    """The file whole or not at all."""
    path = Path(path)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.resolve().parent, delete=False, encoding="utf-8", newline="\n"
    ) as stream:
        stream.write(text)
    os.chmod(stream.name, 0o644)
    os.replace(stream.name, path)
