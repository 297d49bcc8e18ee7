# SPDX-License-Identifier: MIT
"""The controller as a process on the desktop with its three ways in for tools, and pymodbus
clients for them: a stranger to Firmline, also in the framing. Every wait is bounded."""

import json
import os
import signal
import subprocess
import threading
import time
import zlib

from pymodbus import FramerType
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.pdu.file_message import FileRecord

from hil.targets.firmware import FIRMWARE_DIR, find_micropython
from tests.host.tools_site import CONFIG, UNIT
from tests.host.wall_runs import NullModem, held_tcp_port

PATIENCE_S = 30  # nothing takes so long, whatever else the machine does


class Desktop:
    """main.py with a console on a terminal, a head-end's port and a TCP port."""

    def __init__(self, folder, *options, more=None, says="running", network=None):
        self._held = held_tcp_port()
        self.tcp_port = self._held.getsockname()[1]
        config = CONFIG | {"head_end": CONFIG["head_end"] | {"tcp_port": self.tcp_port}}
        config["head_end"].update(more or {})
        if network:
            config["network"] = network
        self.text = json.dumps(config)
        self._path = folder / "config.json"
        self._path.write_text(self.text)
        self.data = folder / "data"
        self.modems = [NullModem() for _ in range(3)]
        bus, head_end, self.console = self.modems
        self.head_end = head_end.near
        self._terminal = open(self.console.far, "r+b", buffering=0)
        command = [find_micropython(), str(FIRMWARE_DIR / "main.py"), str(self._path)]
        command += ["--port", f"uart0={bus.far}", "--port", f"uart1={head_end.far}"]
        command += ["--console", "--data", str(self.data), *options]
        self.process = subprocess.Popen(
            command,
            stdin=self._terminal,
            stdout=self._terminal,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines = []
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()
        self.await_line(f"firmline: {says}")

    def _listen(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    def await_line(self, text, times=1):
        """Until it has said a line with `text` so often."""
        self.until(lambda: sum(text in line for line in list(self.lines)) >= times)

    def until(self, is_so):
        give_up_s = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < give_up_s, self.lines
            time.sleep(0.02)

    def client(self, way, unit=UNIT, timeout_s=3, retries=2):
        """A connected Client by "rtu", "ascii" or "tcp"."""
        more = {"timeout": timeout_s, "retries": retries}
        if way == "tcp":
            return Client(ModbusTcpClient("127.0.0.1", port=self.tcp_port, **more), unit)
        if way == "rtu":
            return Client(ModbusSerialClient(self.head_end, baudrate=19200, **more), unit)
        client = ModbusSerialClient(self.console.near, framer=FramerType.ASCII, **more)
        return Client(client, unit)

    def lose_console(self):
        """The terminal is closed."""
        self._terminal.close()
        self.modems.remove(self.console)
        self.console.close()

    def press(self, keys):
        """Somebody types at the console."""
        descriptor = os.open(self.console.near, os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(descriptor, keys)
            time.sleep(0.1)
        finally:
            os.close(descriptor)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(5)
        self.process.stderr.close()
        self._terminal.close()
        self._held.close()
        for modem in self.modems:
            modem.close()


class Refused(Exception):
    def __init__(self, code):
        super().__init__(f"exception {code}")
        self.code = code


class Silent(Exception):
    """No answer in time."""


class Client:
    def __init__(self, client, unit):
        self._client = client
        self._unit = unit
        assert client.connect()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._client.close()

    def close(self):
        self._client.close()

    def _call(self, method, *arguments, **more):
        try:
            answer = method(*arguments, device_id=self._unit, **more)
        except ModbusIOException as silent:
            raise Silent(str(silent)) from None
        if answer.isError():
            raise Refused(answer.exception_code)
        return answer

    def read(self, address, count=1):
        return self._call(self._client.read_holding_registers, address, count=count).registers

    def write(self, address, *values):
        self._call(self._client.write_registers, address, list(values))

    def read_record(self, file, record, count):
        asked = FileRecord(file_number=file, record_number=record, record_length=2 * count)
        return self._call(self._client.read_file_record, [asked]).records[0].record_data

    def write_record(self, file, record, data):
        given = FileRecord(file_number=file, record_number=record, record_data=data)
        self._call(self._client.write_file_record, [given])

    def lengths(self):
        """Of the files 1..5."""
        return self.read(40307, 5)

    def read_file(self, file):
        length = self.lengths()[file - 1]
        data = b""
        while len(data) < length:
            count = min(120, (length - len(data) + 1) // 2)
            data += self.read_record(file, len(data) // 2, count)
        return data[:length]

    def stage(self, file, data):
        data += b"\0" * (len(data) % 2)
        for at in range(0, len(data), 240):
            self.write_record(file, at // 2, data[at : at + 240])

    def commit(self, file, data):
        crc = zlib.crc32(data)
        self.write(40312, file, len(data), crc >> 16, crc & 0xFFFF)

    def restart(self):
        self.write(40316, 0x5AFE)
