# SPDX-License-Identifier: MIT
"""A Firmline controller at the other end of a Connection: what it is, what it does, its files.

Nothing is taken for a Firmline that does not say so in its SunSpec models.
"""

import contextlib
import json
import time
import zlib
from dataclasses import asdict, dataclass

from host_tools import register_map, unfold
from host_tools.connection import Connection, NoAnswer, Refused, prompt_of
from host_tools.errors import BadInput, ToolError
from host_tools.options import place

CONFIG, STAGED, EVENTS, RECORD, IDENTITY = 1, 2, 3, 4, 5
_WRITABLE = {STAGED: "staged", RECORD: "record"}
MOST_RECORDS = 120  # registers of one file request
RESTART_CODE = 0x5AFE
_MOST_MODELS = 30
_LIMITS = {"dynamic": "dynamic_import_w", "emergency": "emergency_import_w"}
_LOCKED = (
    "locked: over RS-485 and TCP this needs the service jumper of the board "
    "(on the desktop: main.py --service), or use --usb"
)
_HIDDEN = (
    "the configuration holds the password of a network: over RS-485 and TCP it is read only with "
    "the service jumper of the board (on the desktop: main.py --service), or use --usb"
)


@dataclass(frozen=True)
class Identity:
    """What the common model says."""

    where: str
    manufacturer: str
    model: str
    version: str
    serial: str
    unit: int
    map_version: int


@contextlib.contextmanager
def open_device(arguments):
    """The controller that the options name, as a context manager. BadInput where there is none,
    or something else."""
    where = place(arguments)
    with Connection(where, arguments.timeout) as connection:
        yield Device(connection)


class Device:
    """`connection` is open; BadInput if what answers is not a Firmline of this map version."""

    def __init__(self, connection):
        self.connection = connection
        self.identity = self._identify()
        self._cause = None

    def _identify(self):
        where = self.connection.place
        try:
            marker = self.connection.read(register_map.BASE, 2)
        except NoAnswer as error:
            raise BadInput(f"{error}: {_hint(where)}") from None
        except Refused:
            marker = None
        if marker is None or marker[0] << 16 | marker[1] != register_map.MARKER:
            text = f"has no SunSpec marker at {register_map.BASE}: not a Firmline"
            raise BadInput(f"{where} answers Modbus, but {text}")
        common = self._common()
        named = f"{common['Mn']} {common['Md']}".strip()
        if common["Mn"] != "Firmline":
            raise BadInput(f"{where} is a {named!r}, not a Firmline")
        version = self._map_version()
        if version is None:
            text = f"but has no model {register_map.FIRMLINE}"
            raise BadInput(f"{where} calls itself {named!r}, {text}: not a Firmline")
        if version != register_map.MAP_VERSION:
            raise BadInput(
                f"{where} is a Firmline {common['Vr']} with map version {version}; this tool "
                f"reads {register_map.MAP_VERSION}: install firmline {common['Vr']} here, or "
                "`firmline deploy` this version there"
            )
        texts = (common[name] for name in ("Mn", "Md", "Vr", "SN"))
        return Identity(str(where), *texts, common["DA"], version)

    def _common(self):
        chosen = register_map.of_model(register_map.COMMON)
        return self.values(chosen)

    def _map_version(self):
        """Walk the models to ours: its version; None where there is no such model."""
        at = register_map.BASE + 2
        for _ in range(_MOST_MODELS):
            model, length = self.connection.read(at, 2)
            if model == register_map.END:
                return None
            if model == register_map.FIRMLINE:
                return self.connection.read(at + 2, 1)[0]
            at += 2 + length
        return None

    def _words(self, chosen):
        words = {}
        for address, count in register_map.spans(chosen):
            values = self.connection.read(address, count)
            words.update(zip(range(address, address + count), values, strict=True))
        return words

    def points(self):
        """{name: value} of every point of the Firmline model."""
        return self.values(register_map.of_model(register_map.FIRMLINE))

    def values(self, chosen):
        """{name: value} of some register_map points, of one model."""
        return register_map.decode(chosen, self._words(chosen))

    def point(self, name):
        return self.values([register_map.point(name)])[name]

    # --- limits ---

    def heartbeat(self, value):
        self.connection.write(register_map.point("heartbeat").address, [value & 0xFFFF])

    def set_limits(self, which, import_w, export_w, duration_s):
        """which: dynamic or emergency; W, -1 for none. Refused (code 3) if not taken."""
        values = []
        for limit_w in (import_w, export_w):
            values += [limit_w >> 16 & 0xFFFF, limit_w & 0xFFFF]
        self.connection.write(register_map.point(_LIMITS[which]).address, [*values, duration_s])

    # --- files ---

    def file_length(self, number):
        """Bytes; 0 for none. BadInput where this firmware has no files."""
        at = register_map.point(f"file{number}_length")
        if at is None:
            text = "has no files to read: `firmline deploy` a newer one"
            raise BadInput(f"firmware {self.identity.version} {text}")
        return self.point(at.name)

    def read_file(self, number, progress=None):
        """All bytes of a file, b"" for none. progress(fraction) is called now and then. BadInput
        where this way may not see it."""
        length = self.file_length(number)
        data = bytearray()
        while len(data) < length:
            count = min(MOST_RECORDS, (length - len(data) + 1) // 2)
            try:
                data += self.connection.read_record(number, len(data) // 2, count)
            except Refused as error:
                if error.code == 1 and number == CONFIG:
                    raise BadInput(_HIDDEN) from None
                raise
            if progress is not None:
                progress(len(data) / length)
        return bytes(data[:length])

    def write_file(self, number, data, progress=None):
        """Stage `data` and read it back; ToolError if it is not there afterwards."""
        padded = data + b"\0" * (len(data) % 2)
        step = 2 * MOST_RECORDS
        with _unlocked():
            for at in range(0, len(padded), step):
                self.connection.write_record(number, at // 2, padded[at : at + step])
                if progress is not None:
                    progress(min(1, (at + step) / len(padded)) * 0.6)
        back = bytearray()
        while len(back) < len(padded):
            count = min(MOST_RECORDS, (len(padded) - len(back)) // 2)
            back += self.connection.read_record(number, len(back) // 2, count)
            if progress is not None:
                progress(0.6 + 0.4 * len(back) / len(padded))
        if bytes(back) != padded:
            raise ToolError(
                f"the {_WRITABLE[number]} file did not arrive whole: nothing was changed"
            )

    def commit(self, number, data):
        """Make what was written the next generation, under its length and CRC32."""
        crc = zlib.crc32(data)
        with _unlocked():
            values = [number, len(data), crc >> 16, crc & 0xFFFF]
            self.connection.write(register_map.point("commit_file").address, values)

    def check_unlocked(self):
        """BadInput, before anything is done, where this way may not change the installation."""
        if self.connection.place.kind != "usb" and not self.point("is_service"):
            raise BadInput(_LOCKED)

    def restart(self):
        """Outputs safe, then a restart. Its answer may be lost with it."""
        with _unlocked(), contextlib.suppress(NoAnswer):
            self.connection.write(register_map.point("restart").address, [RESTART_CODE])

    def details(self):
        """The identity file as a dict; {} where this firmware has none. "cause" has the names of
        the source; if the board said others, "cause_as_said" is that."""
        try:
            details = json_of(self.read_file(IDENTITY), "identity")
        except BadInput:
            return {}
        said = str(details.get("cause") or "")
        names = unfold.names_of(self.identity.serial, self.identity.version) if said else {}
        cause = unfold.readable(said, names)
        return details if cause == said else details | {"cause": cause, "cause_as_said": said}

    def cause(self):
        """The last cause that it recorded, read once; "" for none."""
        if self._cause is None:
            self._cause = str(self.details().get("cause") or "")
        return self._cause

    def config(self):
        """The text of the configuration in force; "" where it cannot be read."""
        try:
            return self.read_file(CONFIG).decode("utf-8", "replace")
        except BadInput:
            return ""

    def as_json(self):
        return asdict(self.identity)


@contextlib.contextmanager
def _unlocked():
    try:
        yield
    except Refused as error:
        if error.code == 1:
            raise ToolError(_LOCKED) from None
        raise


def json_of(data, what):
    """The object in `data`; ToolError for anything else."""
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ToolError(f"the {what} of the controller is not JSON: {data[:40]!r}")
    return value


def _hint(where):
    """What to look at when nothing answers."""
    if where.kind == "rtu":
        return (
            "wrong device, speed (--rtu DEVICE:BAUD) or unit (--unit N), A and B swapped, "
            "or no power"
        )
    if where.kind == "tcp":
        return "is that the controller, and its unit (--unit N)?"
    said = prompt_of(where)
    if said:
        return f"there is {said}"
    return "is Firmline on it (`firmline deploy`), and is --unit its head_end.unit?"


def reopen(arguments, until_s):
    """Wait for a controller that restarts: a (connection, Device), or the last error once
    time.monotonic() is past until_s."""
    while True:
        connection = None
        try:
            connection = Connection(place(arguments), arguments.timeout)
            return connection, Device(connection)
        except ToolError:
            if connection is not None:
                connection.close()
            if time.monotonic() > until_s:
                raise
            time.sleep(0.3)
