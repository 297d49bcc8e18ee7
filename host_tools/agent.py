# SPDX-License-Identifier: MIT
"""What deploy runs on the board, in MicroPython's raw REPL. Sent as text; never imported there.

Its own watchdog starts first and is fed by every call: when the cable is pulled, the board
restarts by itself within 8 s, into the firmware that /slot names. Constructing a watchdog that
runs already sets it anew on both chips (ports/rp2/machine_wdt.c, ports/esp32/machine_wdt.c).
"""

import binascii
import gc
import hashlib
import os
import sys

import machine

watchdog = machine.WDT(timeout=8000)


def who():
    own = sys.implementation
    machine_name = getattr(own, "_machine", "")
    mpy = getattr(own, "_mpy", 0)
    serial = binascii.hexlify(machine.unique_id()).decode()
    print((own.name, tuple(own[1])[:3], machine_name, mpy, sys.path[0], serial))


def sha256(path):
    block = bytearray(512)
    view = memoryview(block)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            count = file.readinto(block)
            if not count:
                break
            digest.update(view[:count])
            watchdog.feed()
    return binascii.hexlify(digest.digest()).decode()


def digest(path):
    print(repr(sha256(path)))


def tree(path, hashes):
    """A line for each file and folder below `path`: (path, size or -1 for a folder, hash)."""
    try:
        entries = list(os.ilistdir(path or "/"))
    except OSError:
        return
    for entry in entries:
        below = path + "/" + entry[0]
        watchdog.feed()
        if entry[1] & 0x4000:
            print((below, -1, ""))
            tree(below, hashes)
        else:
            print((below, os.stat(below)[6], sha256(below) if hashes else ""))


def root():
    """The same for the root alone."""
    for entry in os.ilistdir("/"):
        watchdog.feed()
        print(("/" + entry[0], -1 if entry[1] & 0x4000 else os.stat("/" + entry[0])[6], ""))


def space():
    """(bytes of a block, free blocks)"""
    gc.collect()
    numbers = os.statvfs("/")
    # littlefs counts some blocks twice: "used" may pass the size, and "free" be a huge number
    print((numbers[0], numbers[4] if numbers[4] <= numbers[2] else 0))


def ended():
    """What the launcher noted: how main.py ended, and why a firmware on trial did."""
    text("/slot.why")
    is_safe = "firmline.services.safe_mode" in sys.modules
    print(("safe mode" if is_safe else globals().get("end_of_main", ""),))


def text(path):
    try:
        with open(path) as file:
            print((file.read(200),))
    except OSError:
        print(("",))


def folder(path):
    """Makes `path` and what is above it."""
    parts = path.split("/")
    for end in range(2, len(parts) + 1):
        try:
            os.mkdir("/".join(parts[:end]))
        except OSError as error:
            if error.errno != 17:  # EEXIST
                raise
    watchdog.feed()


def remove(path, is_folder):
    watchdog.feed()
    if is_folder:
        os.rmdir(path)
    else:
        os.remove(path)


def copy(source, target):
    block = bytearray(512)
    view = memoryview(block)
    with open(source, "rb") as old:
        with open(target, "wb") as new:
            while True:
                count = old.readinto(block)
                if not count:
                    break
                new.write(view[:count])
                watchdog.feed()


def move(source, target):
    os.rename(source, target)
    watchdog.feed()


def begin(path):
    global out
    out = open(path, "wb")


def put(base64):
    out.write(binascii.a2b_base64(base64))
    watchdog.feed()


def end():
    out.close()


def replace(path, content):
    """All of it or nothing: littlefs renames atomically, also over a file that is there."""
    with open(path + ".new", "wb") as file:
        file.write(content)
    os.rename(path + ".new", path)
    watchdog.feed()


gc.collect()
