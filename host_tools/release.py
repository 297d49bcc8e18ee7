# SPDX-License-Identifier: MIT
"""The release archive: the firmware compiled for each chip, and a manifest with every hash.

    firmline-VERSION.zip
        manifest.json               what is in it: path on the board, size, SHA-256 of each file
        names.json                  what the short names in a board's error text stand for
        armv6m/boot.py main.py      Pico, Pico W and Pico 2 (an RP2350 runs armv6m code)
        armv6m/firmline/....mpy
        armv6m/package.json         the same list for mip
        xtensawin/...               ESP32, ESP32-S3

The same tree gives the same archive to the byte. `firmline deploy` takes nothing from an archive
whose files differ from its manifest.
"""

import hashlib
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from host_tools import compile as compiler
from host_tools import options, output, unfold
from host_tools.errors import DONE, BadInput
from host_tools.progress import counted

ROOT = Path(__file__).resolve().parents[1]
FORMAT = 1
NAME = "firmline"
MANIFEST = "manifest.json"
NAMES = "names.json"
PACKAGE = "package.json"
OLDEST_MICROPYTHON = (1, 26)  # on a board: before it, machine.Timer knows no hard=True
OLDEST = "1.26"
ENTRY_FILES = ("boot.py", "main.py")  # MicroPython looks for these by name, as text
_OLDEST_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can say
_MOST_BYTES = 4 << 20  # of one file of an archive: more than any board has


@dataclass(frozen=True)
class Release:
    """files: architecture -> {path on the board: bytes}, in order of the paths. names: as
    unfold.own_names gives them; {} in an archive that has none."""

    version: str
    commit: str
    files: dict
    names: dict = field(default_factory=dict)

    def manifest(self):
        """What manifest.json holds, as a dict."""
        return {
            "format": FORMAT,
            "name": NAME,
            "version": self.version,
            "commit": self.commit,
            "micropython": OLDEST,
            "names": sha256(self.names_text()),
            "architectures": {
                architecture: [_entry(path, data) for path, data in files.items()]
                for architecture, files in self.files.items()
            },
        }

    def names_text(self):
        return (json.dumps(self.names, separators=(",", ":")) + "\n").encode()


def _entry(path, data):
    entry = {"path": path, "size": len(data), "sha256": sha256(data)}
    if path.endswith(".mpy"):
        version, is_native = mpy_version(data)
        entry |= {"mpy": version, "native": is_native}
    return entry


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def mpy_version(data):
    """("6" or "6.3", needs its architecture?) of an .mpy. Bytecode alone runs on every chip and
    only the version counts; machine code also needs the sub-version (py/persistentcode.c)."""
    is_native = data[2] >> 2 != 0
    return (f"{data[1]}.{data[2] & 3}" if is_native else f"{data[1]}"), is_native


def build(architectures=compiler.ARCHITECTURES):
    """The Release of this source tree; BadInput where there is none or it does not compile."""
    from firmline.version import VERSION

    sources = list(compiler.sources())
    if not sources:
        raise BadInput(
            "there are no firmware sources with this installation: pip install -e '.[tools]' in a "
            "checkout, or `firmline deploy --archive FILE`"
        )
    try:
        with counted("compiling", len(sources) * len(architectures)) as advance:
            files = {name: files_for(name, sources, advance) for name in architectures}
    except compiler.CompileError as error:
        raise BadInput(str(error)) from None
    return Release(VERSION, describe(ROOT), files, unfold.own_names())


def files_for(architecture, sources, advance):
    """{path on the board: bytes}: boot.py and main.py as text, all else compiled. advance(1) is
    called for each."""
    files = {}
    for path, name in sources:
        if name in ENTRY_FILES:
            files[name] = path.read_bytes()
        else:
            target = str(PurePosixPath(name).with_suffix(".mpy"))
            files[target] = compiler.compiled(path, name, architecture)
        advance(1)
    return dict(sorted(files.items()))


def describe(root):
    """What git calls this state; "" where there is no git or this is not its work tree."""
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--tags"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def mip_package(version, pairs):
    """The text of a package.json. pairs: (path on the board, address relative to it)."""
    urls = ",\n".join("    " + json.dumps(list(pair)) for pair in pairs)
    return (
        f'{{\n  "version": {json.dumps(version)},\n  "deps": [],\n  "urls": [\n{urls}\n  ]\n}}\n'
    )


def source_package():
    """package.json of the source tree: `mpremote mip install --target / package.json`."""
    from firmline.version import VERSION

    return mip_package(VERSION, [(name, f"firmware/{name}") for _, name in compiler.sources()])


def write(release, folder):
    """Writes the archive into `folder`; its path."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}-{release.version}.zip"
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        text = json.dumps(release.manifest(), indent=1) + "\n"
        _add(archive, MANIFEST, text.encode())
        _add(archive, NAMES, release.names_text())
        for architecture, files in sorted(release.files.items()):
            for name, data in files.items():
                _add(archive, f"{architecture}/{name}", data)
            package = mip_package(release.version, [(name, name) for name in files])
            _add(archive, f"{architecture}/{PACKAGE}", package.encode())
    partial.replace(path)
    return path


def _add(archive, name, data):
    entry = zipfile.ZipInfo(name, _OLDEST_DATE)
    entry.create_system = 3  # Unix, wherever it is made
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data, zipfile.ZIP_DEFLATED, 9)


def read(path):
    """The Release in the archive `path`; BadInput for one that is not whole and unchanged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(str(path), archive)
    except (zipfile.BadZipFile, zipfile.zlib.error, EOFError, NotImplementedError) as error:
        raise BadInput(f"{path}: not a whole zip archive: {error}") from None


def _read(path, archive):
    manifest = _manifest(path, archive)
    files = {}
    for architecture, entries in manifest["architectures"].items():
        files[architecture] = {}
        for entry in entries:
            name = entry["path"]
            _check_path(path, name)
            data = _whole(path, archive, f"{architecture}/{name}", entry["sha256"])
            files[architecture][name] = data
        if not set(ENTRY_FILES) <= set(files[architecture]):
            raise BadInput(f"{path}: {architecture} has no {' or no '.join(ENTRY_FILES)}")
    names = {}
    if "names" in manifest:  # not in archives up to 0.1.0
        try:
            names = json.loads(_whole(path, archive, NAMES, manifest["names"]))
        except ValueError:
            names = None
        if not unfold.is_table(names):
            raise BadInput(f"{path}: {NAMES} is no table of names")
    return Release(manifest["version"], manifest["commit"], files, names)


def _manifest(path, archive):
    """The manifest as a dict of which all that is used is there, in the right type."""
    if MANIFEST not in archive.namelist():
        raise BadInput(f"{path}: not a Firmline release: it has no {MANIFEST}")
    try:
        manifest = json.loads(_member(path, archive, MANIFEST))
        if manifest["format"] != FORMAT or manifest["name"] != NAME:
            raise ValueError("another format or product")
        for architecture, entries in manifest["architectures"].items():
            manifest["architectures"][architecture] = [
                {"path": str(entry["path"]), "sha256": str(entry["sha256"])} for entry in entries
            ]
        return manifest | {key: str(manifest[key]) for key in ("version", "commit")}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path}: {MANIFEST} is not one of a Firmline release: {error}") from None


def _whole(path, archive, member, digest):
    """The bytes of a member, which have that SHA-256."""
    if member not in archive.namelist():
        raise BadInput(f"{path}: {member} is missing")
    data = _member(path, archive, member)
    if sha256(data) != digest:
        raise BadInput(f"{path}: {member} is not what the manifest says: refused")
    return data


def _member(path, archive, name):
    if archive.getinfo(name).file_size > _MOST_BYTES:
        raise BadInput(f"{path}: {name} is larger than any board")
    return archive.read(name)


def _check_path(path, name):
    """Only below the slot, and only what can be imported from there."""
    parts = name.split("/")
    is_plain = all(part and part[0] != "." and "\\" not in part for part in parts)
    if not is_plain or not name.endswith((".py", ".mpy")):
        raise BadInput(f"{path}: {name!r} is no file of a firmware")


def add_parser(subparsers):
    parser = options.add_command(
        subparsers,
        "release",
        "build the release archive of this source tree",
        __doc__,
        "  firmline release && firmline deploy --archive dist/firmline-0.1.0.zip",
    )
    parser.add_argument("--out", default="dist", metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--package-json",
        action="store_true",
        help="only print the package.json of the source tree, for mip",
    )
    options.add_json(parser)


def run(arguments):
    """Build, write, read back and tell."""
    if arguments.package_json:
        sys.stdout.write(source_package())
        return DONE
    with output.telling(arguments) as out:
        release = build()
        path = write(release, arguments.out)
        read(path)
        out.facts |= {"version": release.version, "commit": release.commit, "architectures": {}}
        for architecture, files in release.files.items():
            total = sum(map(len, files.values()))
            out.say(f"{architecture}: {len(files)} files, {total:,} bytes")
            out.facts["architectures"][architecture] = {"files": len(files), "bytes": total}
        data = path.read_bytes()
        digest = sha256(data)
        facts = {"archive": str(path), "bytes": len(data), "sha256": digest}
        out.say(f"{path}: {len(data):,} bytes, SHA-256 {digest}", **facts)
    return DONE
