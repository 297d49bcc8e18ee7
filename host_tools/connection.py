# SPDX-License-Identifier: MIT
"""A Modbus connection to one unit, over USB (ASCII), RS-485 (RTU) or TCP.

The only place of the tools that uses pymodbus; its API changes in minor releases. Registers are
lists of uint16. What goes wrong is one of four errors, each with a line for the user; a request
that got no answer or a damaged one is repeated before it counts as that.
"""

import logging
import struct
import time

from host_tools.errors import BadInput, Missing, ToolError
from host_tools.ports import why_not_open

_ATTEMPTS = 3
_REST_S = 0.05  # before a repeat: what comes late must not be taken for its answer
_EXCEPTIONS = {
    1: "not a function it has, or not allowed here",
    2: "no such register or record",
    3: "the value is refused",
    4: "it failed to do so",
    6: "it is busy",
}


class NoAnswer(ToolError):
    """Nothing that makes sense came back in time."""


class CableGone(ToolError):
    """The port or the network connection went away."""


class Refused(ToolError):
    """The controller answered with a Modbus exception `code`."""

    def __init__(self, what, code):
        super().__init__(f"{what}: refused, exception {code}: {_EXCEPTIONS.get(code, 'unknown')}")
        self.code = code


class Connection:
    """Open at once, BadInput if that fails. Use as a context manager or call close()."""

    def __init__(self, place, timeout_s):
        self.place = place
        self.timeout_s = timeout_s
        try:
            import pymodbus.client as clients
            import serial  # noqa: F401 - pymodbus needs it and does not say so
            from pymodbus.framer import FramerType
        except ImportError:
            raise Missing("pymodbus and pyserial are") from None
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # errors are raised, not printed
        options = {"timeout": timeout_s, "retries": 0}
        if place.kind == "tcp":
            self._client = clients.ModbusTcpClient(place.device, port=place.speed, **options)
            self._client.socket = _open_tcp(place, timeout_s)
        else:
            framer = FramerType.ASCII if place.kind == "usb" else FramerType.RTU
            self._client = clients.ModbusSerialClient(
                place.device, framer=framer, baudrate=place.speed, **options
            )
            self._client.socket = _open_serial(place, timeout_s)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self._client.close()

    def read(self, address, count):
        """`count` (1..125) registers from `address` on."""
        what = f"read of {count} registers at {address}"
        call = self._client.read_holding_registers
        return self._call(what, call, address, count=count).registers

    def write(self, address, values):
        """One request for all of `values`, which is taken or refused as one."""
        what = f"write of {len(values)} registers at {address}"
        self._call(what, self._client.write_registers, address, list(values))

    def read_record(self, file, record, count):
        """`count` (1..120) registers of a file from `record` on, as bytes."""
        from pymodbus.pdu.file_message import FileRecord

        asked = FileRecord(file_number=file, record_number=record, record_length=2 * count)
        what = f"read of file {file}"
        answer = self._call(what, self._client.read_file_record, [asked])
        data = answer.records[0].record_data if answer.records else b""
        if len(data) != 2 * count:
            raise NoAnswer(f"{what}: {len(data)} bytes came instead of {2 * count}")
        return data

    def write_record(self, file, record, data):
        """An even number of bytes into a file at `record`."""
        from pymodbus.pdu.file_message import FileRecord

        given = FileRecord(file_number=file, record_number=record, record_data=bytes(data))
        self._call(f"write of file {file}", self._client.write_file_record, [given])

    def _call(self, what, method, *arguments, **more):
        from pymodbus.exceptions import ConnectionException, ModbusException

        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_REST_S)
            if self._client.socket is None:  # pymodbus would open it again behind our back
                raise CableGone(f"the connection to {self.place} broke")
            try:
                answer = method(*arguments, device_id=self.place.unit, **more)
            except ConnectionException:
                self.close()
                raise CableGone(f"the connection to {self.place} broke") from None
            except (ModbusException, ValueError, struct.error):  # nothing, or a damaged frame
                continue
            except OSError:
                self.close()
                raise CableGone(f"the connection to {self.place} broke") from None
            if answer.isError():
                raise Refused(what, getattr(answer, "exception_code", 0))
            return answer
        raise NoAnswer(f"no answer from {self.place} within {self.timeout_s:g} s")


def _open_serial(place, timeout_s):
    """The port, ours alone. pymodbus would open it too, but keeps the reason to itself."""
    import serial

    try:
        return serial.serial_for_url(
            place.device,
            baudrate=place.speed,
            timeout=timeout_s,
            write_timeout=timeout_s,
            exclusive=True,
        )
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise BadInput(f"{place.device}: {why_not_open(place.device, error)}") from None


def _open_tcp(place, timeout_s):
    import socket

    try:
        return socket.create_connection((place.device, place.speed), timeout_s)
    except (socket.gaierror, UnicodeError):
        raise BadInput(f"{place.device}: there is no host of that name") from None
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or error
        hint = "is head_end.tcp_port in its configuration?"
        raise BadInput(f"{place.device}:{place.speed}: {reason}: {hint}") from None


def prompt_of(place):
    """What speaks at a USB port that gave no Modbus answer: a short text, or None for silence."""
    import serial

    try:
        with serial.serial_for_url(place.device, baudrate=place.speed, timeout=0.3) as port:
            port.write(b"\r\n?\r\n")  # Firmline answers a line, MicroPython its prompt
            said = port.read(400)
    except (OSError, ValueError):
        return None
    if b">>>" in said:
        return "a MicroPython prompt: Firmline is not running there"
    text = said.decode("ascii", "replace").strip().splitlines()
    if b"Firmline" in said:
        return (
            "a Firmline, but not as this unit: give head_end.unit of its configuration, --unit N"
        )
    return f"something that says {text[-1][:60]!r}" if text else None
