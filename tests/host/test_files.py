# SPDX-License-Identifier: MIT
"""`hardware.files` of the desktop and of a board: the contract, a full disk, no folder."""

import subprocess
from pathlib import Path

import pytest
import runtimes

from firmline.hal.files import FileStore
from firmline.hal.ramfiles import RamStore, open_files
from tests.host import files_contract

SCRIPT = Path(__file__).with_name("files_contract.py")


def micropython():
    try:
        return runtimes.find_micropython()
    except runtimes.Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("kind", ["folder", "ram", "littlefs"])
def test_micropython_keeps_the_contract(kind, tmp_path):
    command = [micropython(), SCRIPT, runtimes.FIRMWARE, kind, tmp_path / "data"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "contract kept\n", done.stdout + done.stderr


def test_cpython_keeps_the_contract(tmp_path):
    files_contract.check(FileStore(str(tmp_path / "data")))
    files_contract.check(RamStore())


def test_without_a_folder_nothing_is_kept(tmp_path):
    assert isinstance(open_files(None), RamStore)
    open_files(str(tmp_path)).save("a", b"1", 1)
    assert (tmp_path / "a").read_bytes() == b"1"


def test_a_folder_that_cannot_be_made_is_a_counted_fault(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "data", tmp_path / "no" / "data"):
        files = FileStore(str(folder))
        with pytest.raises(OSError):
            files.save("a", b"1", 1)
        assert files.errors >= 1
        assert files.load("a", bytearray(4)) == -1


def test_a_fault_in_the_middle_of_a_save_leaves_the_old_file(tmp_path):
    files = FileStore(str(tmp_path))
    files.save("a", b"old", 3)
    with pytest.raises(TypeError):
        files.save("a", b"new", 3, head=17)  # the file is open by then
    assert (tmp_path / "a").read_bytes() == b"old"


def test_what_a_cut_has_left_half_done_is_written_over(tmp_path):
    files = FileStore(str(tmp_path))
    (tmp_path / "new").write_bytes(b"half a file that is longer than the next")
    files.save("a", b"whole", 5)
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert not (tmp_path / "new").exists()
