# SPDX-License-Identifier: MIT
"""pymodbus as the independent other end of a serial line: a healthy meter, and a head-end.

The only place that uses pymodbus (its interface changes in minor releases). It cannot play a
faulty device: late answers, damaged frames and silence are the emulated line's business. A
pseudo terminal has no baud rate and carries 8N1 only.
"""

import asyncio
import fcntl
import os
import struct
import termios
import threading
import tty

from pymodbus.client import ModbusSerialClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

START_TIMEOUT_S = 5.0


class PtyLine:
    """A pseudo terminal: `port` is the firmware's end, `name` the path for the other program."""

    def __init__(self):
        self._near, self._far = os.openpty()
        tty.setraw(self._near)
        tty.setraw(self._far)
        self.name = os.ttyname(self._far)
        self.port = PtyPort(self._near)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.close(self._near)
        os.close(self._far)


class PtyPort:
    """The firmware's serial port contract on a file descriptor."""

    def __init__(self, fd):
        self._fd = fd

    def write(self, buf, n):
        os.write(self._fd, bytes(buf[:n]))

    def any(self):
        return struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, b"\0\0\0\0"))[0]

    def readinto(self, buf, n):
        data = os.read(self._fd, n)
        buf[: len(data)] = data
        return len(data)

    def tx_done(self):
        return True


class MeterServer:
    """A thread with a pymodbus server: `floats` (address -> float32) and `registers` (address ->
    list of uint16) of one unit.

    It answers an exception for units that are not there, where a real line stays silent.
    """

    def __init__(self, port_name, unit, floats, baud=19200, registers=()):
        self._port_name = port_name
        self._baud = baud
        data = [
            SimData(address, values=[value], datatype=DataType.FLOAT32)
            for address, value in floats.items()
        ]
        data += [
            SimData(address, values=values, datatype=DataType.REGISTERS)
            for address, values in dict(registers).items()
        ]
        self._device = SimDevice(id=unit, simdata=data)
        self._ready = threading.Event()
        self._loop = None
        self._server = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            raise RuntimeError("the pymodbus server did not start")
        return self

    def __exit__(self, *error):
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(5)
        self._thread.join(5)

    def _run(self):
        asyncio.run(self._serve())

    async def _serve(self):
        self._loop = asyncio.get_running_loop()
        self._server = ModbusSerialServer(
            self._device,
            port=self._port_name,
            baudrate=self._baud,
        )
        task = asyncio.create_task(self._server.serve_forever())
        while not self._server.is_active() and not task.done():
            await asyncio.sleep(0.005)
        self._ready.set()
        try:
            await task
        except asyncio.CancelledError:
            pass  # noqa: S110 - this is how the server ends


class HeadEndClient:
    """A pymodbus client. Registers are lists of uint16; `Refused` carries the exception code."""

    class Refused(Exception):
        def __init__(self, code):
            super().__init__(f"exception {code}")
            self.code = code

    class Silent(Exception):
        """No answer in time."""

    def __init__(self, port_name, unit, baud=19200, timeout_s=1.0):
        self._unit = unit
        self._client = ModbusSerialClient(
            port_name, baudrate=baud, timeout=timeout_s, retries=0, reconnect_delay=0
        )

    def __enter__(self):
        if not self._client.connect():
            raise RuntimeError("the pymodbus client could not open the port")
        return self

    def __exit__(self, *error):
        self._client.close()

    def read_holding(self, address, count):
        return self._call(self._client.read_holding_registers, address, count=count).registers

    def read_input(self, address, count):
        return self._call(self._client.read_input_registers, address, count=count).registers

    def write(self, address, values):
        self._call(self._client.write_registers, address, list(values))

    def write_single(self, address, value):
        self._call(self._client.write_register, address, value)

    def _call(self, method, *arguments, unit=None, **more):
        try:
            answer = method(*arguments, device_id=unit or self._unit, **more)
        except ModbusIOException as silent:
            raise self.Silent(str(silent)) from silent
        if answer.isError():
            raise self.Refused(answer.exception_code)
        return answer
