# SPDX-License-Identifier: MIT
"""The release archive, the lists for mip and for frozen builds, and the bounds of the sizes."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from littlefs import LittleFS

from host_tools import cli, release, sizes
from host_tools.compile import ARCHITECTURES, sources
from host_tools.errors import BadInput, ToolError
from tests.host.pty_board import PtyBoard

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = sorted(
    file.relative_to(ROOT / "firmware").as_posix() for file in (ROOT / "firmware").rglob("*.py")
)


@pytest.fixture(scope="module")
def built():
    return release.build()


@pytest.fixture(scope="module")
def archive(built, tmp_path_factory):
    return release.write(built, tmp_path_factory.mktemp("dist"))


def test_the_archive_holds_every_firmware_file_for_every_chip(archive):
    with zipfile.ZipFile(archive) as file:
        manifest = json.loads(file.read("manifest.json"))
        names = set(file.namelist())
    assert set(manifest["architectures"]) == set(ARCHITECTURES) == {"armv6m", "xtensawin"}
    for architecture, entries in manifest["architectures"].items():
        paths = [entry["path"] for entry in entries]
        wanted = {n if "/" not in n else n.replace(".py", ".mpy") for n in FIRMWARE}
        assert set(paths) == wanted
        assert {f"{architecture}/{path}" for path in paths} < names
        for entry in entries:
            assert entry["path"].endswith(".py") or entry["mpy"] in ("6", "6.3")


def test_two_archives_of_one_tree_are_the_same(built, archive, tmp_path):
    assert release.write(built, tmp_path).read_bytes() == archive.read_bytes()


def test_the_archive_is_read_back(built, archive):
    assert release.read(archive) == built


BAD_NAMES = ("../config.json", "/boot.py", "firmline/../../x.py", "data/x.bin", ".git/x.py", "")


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_path_out_of_the_slot_is_refused(tmp_path, name):
    made = release.Release("1", "", {"armv6m": {name: b"x", "boot.py": b"", "main.py": b""}})
    with pytest.raises(BadInput, match="no file of a firmware"):
        release.read(release.write(made, tmp_path))


def test_machine_code_is_told_from_bytecode():
    assert release.mpy_version(bytes([77, 6, 0, 31])) == ("6", False)
    assert release.mpy_version(bytes([77, 6, 4 << 2 | 3, 31])) == ("6.3", True)


def test_the_command_writes_an_archive(capsys, monkeypatch, built, tmp_path):
    monkeypatch.setattr(release, "build", lambda: built)
    assert cli.main(["release", "--out", str(tmp_path / "dist")]) == 0
    assert "SHA-256" in capsys.readouterr().out
    assert len(list((tmp_path / "dist").iterdir())) == 1


def test_package_json_lists_the_firmware():
    text = (ROOT / "package.json").read_text(encoding="utf-8")
    again = "python -m host_tools release --package-json > package.json"
    assert text == release.source_package(), f"make it again: {again}"
    assert sorted(path for path, _ in json.loads(text)["urls"]) == FIRMWARE
    assert all((ROOT / address).is_file() for _, address in json.loads(text)["urls"])


def test_mip_installs_what_package_json_lists(tmp_path):
    """mpremote's own mip, onto a board; a few of the files, because it sends them slowly."""
    package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    package["urls"] = [
        [path, os.path.relpath(ROOT / address, tmp_path)] for path, address in package["urls"][:5]
    ]
    some = tmp_path / "package.json"
    some.write_text(json.dumps(package), encoding="utf-8")
    with PtyBoard(tmp_path / "board") as board:
        board.wait_for_port()
        command = [sys.executable, "-m", "mpremote", "connect", board.device, "resume", "mip"]
        command += ["install", "--target", "/", str(some)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == 0, done.stdout + done.stderr
        code = (
            "import os\n"
            "def tree(path):\n"
            " for entry in os.ilistdir(path or '/'):\n"
            "  below = path + '/' + entry[0]\n"
            "  if below != '/host': tree(below) if entry[1] & 0x4000 else print(below)\n"
            "tree('')"
        )
        assert sorted(board.repl(code).split()) == sorted(f"/{p}" for p, _ in package["urls"])


def test_the_frozen_manifest_names_every_module():
    frozen = []

    def package(name, base_path):
        folder = ROOT / base_path / name
        frozen.extend(p.relative_to(ROOT / base_path).as_posix() for p in folder.rglob("*.py"))

    def module(name, base_path):
        assert (ROOT / base_path / name).is_file()
        frozen.append(name)

    included = []
    names = {"package": package, "module": module, "include": included.append}
    text = (ROOT / "manifest.py").read_text(encoding="utf-8")
    exec(compile(text, "manifest.py", "exec"), names)
    assert included == ["$(PORT_DIR)/boards/manifest.py"]
    assert sorted(frozen) == FIRMWARE


def test_the_firmware_keeps_its_bounds(built):
    passed = sizes.faults(built.files)
    assert not passed, passed


def test_two_releases_fit_on_a_pico_w(built):
    """848 kB for files (ports/rp2, RPI_PICO_W); the driver's parameters are those of the port."""
    system = LittleFS(
        block_size=4096, block_count=212, read_size=32, prog_size=256, cache_size=1024
    )
    for slot in ("a", "b"):
        for name, data in built.files["armv6m"].items():
            path = f"{slot}/{name}"
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
            with system.open(path, "wb") as file:
                file.write(data)
    assert system.used_block_count <= 2 + 2 * sizes.MOST_BLOCKS


def test_a_bound_that_is_passed_is_said():
    files = {"armv6m": {f"firmline/core/m{k}.mpy": bytes(15_000) for k in range(11)}}
    assert sizes.faults(files) == ["armv6m: 165000 bytes, at most 160000"]
    files = {"armv6m": {"firmline/app.mpy": bytes(16_001)}}
    assert sizes.faults(files) == ["armv6m/firmline/app.mpy: 16001 bytes, at most 16000"]


def test_the_table_of_sizes_adds_up_and_goes_between_its_marks(built):
    lines = sizes.table(built.files)
    cells = [line.split("|") for line in lines if line.startswith("| ")]
    numbers = {row[1].strip(): int(row[3].replace(",", "").replace("*", "")) for row in cells[1:]}
    own = sum(n for name, n in numbers.items() if name not in ("**all**", "bound"))
    assert own == numbers["**all**"] == sum(map(len, built.files["armv6m"].values()))
    page = f"before\n{sizes.BEGIN}\nold\n{sizes.END}\nafter\n"
    assert sizes.put(page, ["new"]) == f"before\n{sizes.BEGIN}\nnew\n{sizes.END}\nafter\n"
    with pytest.raises(ToolError, match="lacks the marks"):
        sizes.put("nothing\n", ["new"])


def test_every_firmware_file_is_compiled():
    assert [name for _, name in sources()] == FIRMWARE


def test_an_installation_has_every_file_of_the_tools():
    """The launcher is no package: without its own line deploy has nothing to send."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["setuptools"]["package-data"]["host_tools"]
    data = {path for pattern in listed for path in (ROOT / "host_tools").glob(pattern)}
    for path in (ROOT / "host_tools").rglob("*.py"):
        assert (path.parent / "__init__.py").is_file() or path in data, path
