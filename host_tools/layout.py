# SPDX-License-Identifier: MIT
"""Where Firmline's files lie on a board, and the steps from what is there to what should be.

    /boot.py /main.py   the launcher (host_tools/launcher): the same for every release
    /slot               "a", "b", or "ba": b once, then a (host_tools/launcher/boot.py)
    /a/... /b/...       a firmware each: boot.py, main.py, firmline/
    /config.json /data  untouched by a release

The order of the steps is the safety of it: the slot in force is never written to; the file /slot
is replaced last, in one rename; before that every file of the new slot was read back by hash.
"""

from dataclasses import dataclass, field
from pathlib import Path

from host_tools.errors import BadInput, ToolError
from host_tools.progress import counted
from host_tools.release import sha256

LAUNCHER = Path(__file__).with_name("launcher")
LAUNCHER_FILES = ("main.py", "boot.py")  # in the order they are put there
SLOTS = ("a", "b")
POINTER = "/slot"
CONFIG = "/config.json"
BOARD = "/board.txt"  # read by firmline/hal/choose.py
_OLD_CONFIG = "/config.old"
WHY = "/slot.why"  # what ended a firmware on trial
CAUSE = "/cause.txt"  # written by firmline/hal/board.py
_INLINE_BYTES = 128  # at least: littlefs keeps small files in the folder's own blocks
_FOLDER_BLOCKS = 2  # littlefs: a pair for each
_SPARE_BLOCKS = 8  # /slot, launcher, configuration, and what their renames need


@dataclass
class Found:
    """What is on a board. trees: slot -> {path in it: hash}, flat: the same for the root."""

    pointer: str
    root: dict
    trees: dict
    folders: dict
    launcher: dict
    flat: dict
    block_bytes: int
    free_blocks: int
    sizes: dict


@dataclass
class Plan:
    target: str
    fallback: str
    files: dict
    remove: list = field(default_factory=list)  # (path, is a folder), innermost first
    copy: list = field(default_factory=list)  # (from, to) on the board
    send: dict = field(default_factory=dict)  # path in the slot -> bytes
    launcher: dict = field(default_factory=dict)  # name -> bytes
    flat: dict = field(default_factory=dict)  # path in the root -> hash, to be kept as a slot
    pointer: str = ""  # as it was found
    config: bytes = None
    had_config: bool = False
    is_current: bool = False

    @property
    def work(self):
        return bool(not self.is_current or self.launcher)

    def summary(self):
        total = sum(map(len, self.send.values()))
        text = f"{len(self.send)} of {len(self.files)} files, {total:,} bytes"
        return text + (f", {len(self.copy)} are on the board already" if self.copy else "")


def launcher_files():
    return {name: (LAUNCHER / name).read_bytes() for name in LAUNCHER_FILES}


def read(board):
    """Looks at everything: a Found."""
    with counted("looking at the board", 4) as advance:
        root = {path: size for path, size, _ in board.call("root")}
        pointer = board.call("text", POINTER)[0][0] if POINTER in root else ""
        advance(1)
        trees, folders, sizes = {}, {}, {}
        for slot in SLOTS:
            listed = board.call("tree", f"/{slot}", True) if root.get(f"/{slot}") == -1 else []
            trees[slot] = {p[3:]: digest for p, size, digest in listed if size >= 0}
            folders[slot] = [p for p, size, _ in listed if size < 0]
            sizes[slot] = {p[3:]: size for p, size, _ in listed if size >= 0}
            advance(1)
        launcher = {
            name: board.call("digest", f"/{name}")[0]
            for name in LAUNCHER_FILES
            if root.get(f"/{name}", -1) >= 0
        }
        flat = {}
        if root.get("/firmline") == -1 and "main.py" in launcher:
            listed = board.call("tree", "/firmline", True)
            flat = {p[1:]: digest for p, size, digest in listed if size >= 0}
            flat |= launcher
            sizes["flat"] = {p[1:]: size for p, size, _ in listed if size >= 0}
        block_bytes, free = board.call("space")[0]
        advance(1)
    return Found(pointer, root, trees, folders, launcher, flat, block_bytes, free, sizes)


def plan(found, files, config=None, may_replace=False):
    """The Plan to bring `files` (path -> bytes) onto a board; BadInput where it cannot be."""
    ours = {name: sha256(data) for name, data in launcher_files().items()}
    is_ours = found.pointer[:1] in SLOTS or found.launcher.get("main.py") == ours["main.py"]
    flat = {} if is_ours else found.flat
    if not is_ours and not flat and "main.py" in found.launcher and not may_replace:
        raise BadInput(
            "the board has another program (its main.py is not Firmline's): "
            "nothing was changed; --replace overwrites it"
        )
    current = _settled(found) if is_ours else ("a" if flat else "")
    target = "b" if current == "a" else "a"
    wanted = {path: sha256(data) for path, data in files.items()}
    made = Plan(target, current, files, flat=flat, config=config, pointer=found.pointer)
    made.had_config = CONFIG in found.root
    made.launcher = {
        name: data
        for name, data in launcher_files().items()
        if found.launcher.get(name) != ours[name]
    }
    if current and not flat and found.trees[current] == wanted:
        made.is_current = True
        made.target, made.fallback = current, ""
        return made
    _fill(made, found, wanted, current)
    _check_space(made, found)
    return made


def _settled(found):
    """The slot that the next start runs for good; "" where it is not whole enough to start."""
    slot = found.pointer[-1:]
    tree = found.trees.get(slot, {})
    return slot if "main.py" in tree and "boot.py" in tree else ""


def _fill(made, found, wanted, current):
    """What to remove, copy and send for the target slot."""
    there = found.trees[made.target]
    for path, digest in there.items():
        if wanted.get(path) != digest:
            made.remove.append((f"/{made.target}/{path}", False))
    needed = _parents(made.target, wanted)
    for folder in sorted(found.folders[made.target], key=len, reverse=True):
        if folder not in needed:
            made.remove.append((folder, True))
    source = found.flat if made.flat else found.trees.get(current, {})
    prefix = "" if made.flat else f"/{current}"
    for path, digest in wanted.items():
        if there.get(path) == digest:
            continue
        if source.get(path) == digest:
            made.copy.append((f"{prefix}/{path}", f"/{made.target}/{path}"))
        else:
            made.send[path] = made.files[path]


def _parents(slot, paths):
    """Every folder that the files of a slot need, outermost first."""
    found = set()
    for path in paths:
        parts = path.split("/")[:-1]
        for end in range(len(parts) + 1):
            found.add("/".join(["", slot, *parts[:end]]))
    return sorted(found, key=len)


def _check_space(made, found):
    """Before anything is touched: is there room for what is added?"""
    block = found.block_bytes

    def blocks(size):
        return -(-size // block) if size > _INLINE_BYTES else size / block

    arriving = [len(made.files[path]) for path in made.send]
    arriving += [len(made.files[target[3:]]) for _, target in made.copy]
    needed = sum(map(blocks, arriving)) + _SPARE_BLOCKS
    missing = set(_parents(made.target, made.files)) - set(found.folders[made.target])
    needed += _FOLDER_BLOCKS * len(missing)
    for path, digest in made.flat.items():
        if found.trees["a"].get(path) != digest:
            needed += blocks(found.sizes["flat"].get(path, 1))
    freed = sum(
        blocks(found.sizes[made.target][path[3:]])
        for path, is_folder in made.remove
        if not is_folder
    )
    if needed > found.free_blocks + freed:
        lacking = int(needed - found.free_blocks - freed + 1) * block // 1024
        raise BadInput(
            f"the board's file system is too full: {lacking} kB more are needed: nothing was "
            "changed; remove files of your own from the board"
        )


def carry_out(board, made):
    """Everything up to the restart into the new slot."""
    if not made.is_current:
        _write_slot(board, made)
        _verify(board, made.target, {path: sha256(data) for path, data in made.files.items()})
    if made.flat:
        _keep_flat(board, made.flat)
    if made.fallback and made.pointer != made.fallback:
        board.call("replace", POINTER, made.fallback.encode())
    for name, data in made.launcher.items():
        board.call("replace", f"/{name}", data)
    if made.config is not None:
        if made.had_config:
            board.call("copy", CONFIG, _OLD_CONFIG)
        board.call("replace", CONFIG, made.config)
    if not made.is_current:
        board.call("replace", POINTER, (made.target + made.fallback).encode())


def _write_slot(board, made):
    for path, is_folder in made.remove:
        board.call("remove", path, is_folder)
    for folder in _parents(made.target, made.files):
        board.call("folder", folder)
    for source, target in made.copy:
        board.call("copy", source, target)
    with counted("sending", sum(map(len, made.send.values()))) as advance:
        for path, data in made.send.items():
            board.send(f"/{made.target}/{path}", data, advance)


def _verify(board, slot, wanted):
    listed = board.call("tree", f"/{slot}", True)
    there = {path[3:]: digest for path, size, digest in listed if size >= 0}
    wrong = sorted(p for p in set(there) | set(wanted) if there.get(p) != wanted.get(p))
    if wrong:
        raise ToolError(
            f"/{slot}/{wrong[0]} is not on the board as it was sent: the firmware it had stays "
            "in force; is its flash worn out?"
        )


def _keep_flat(board, flat):
    """A firmware that was copied into the root by hand or by mip becomes slot a."""
    for path, is_folder in _leftovers(board, flat):
        board.call("remove", path, is_folder)
    for folder in _parents("a", flat):
        board.call("folder", folder)
    for path in flat:
        board.call("copy", f"/{path}", f"/a/{path}")
    _verify(board, "a", flat)


def _leftovers(board, flat):
    listed = board.call("tree", "/a", False)
    return [(path, False) for path, size, _ in listed if size >= 0 and path[3:] not in flat]


def confirm(board, made):
    """The new firmware is well: no way back any more."""
    board.call("replace", POINTER, made.target.encode())
    root = [path for path, _, _ in board.call("root")]
    if "/firmline" in root:  # of a firmware that was not in a slot
        for path, size, _ in reversed(board.call("tree", "/firmline", False)):
            board.call("remove", path, size < 0)
        board.call("remove", "/firmline", True)
    for path in (_OLD_CONFIG, WHY):
        if path in root:
            board.call("remove", path, False)


def go_back(board, made):
    """The firmware before it, and the configuration before it."""
    if made.fallback:
        board.call("replace", POINTER, made.fallback.encode())
    if made.config is not None and made.had_config:
        board.call("move", _OLD_CONFIG, CONFIG)
