# SPDX-License-Identifier: MIT
"""Lock-step port: time and bytes come from the bench over stdin and go back over stdout.

Each round the bench sends the time and what has arrived; the controller is polled once and
answers with what it sends, its outputs, and when it wants to be polled next. The real firmware
in the real interpreter then runs in the bench's virtual time, byte for byte repeatable.

Round, little endian. To the controller: now_ms u32, then for each port in the order of opening
u16 count + bytes, then where CTs are configured u16 count + a window of samples (u16 each,
hal/rp2_adc.py) or nothing. Back: wait_ms u32, outputs u32 (bit k: k-th opened output is on; bit
31: the watchdog was fed in this round), u16 count + telemetry (services/register_map.py, i32
each), then for each port u16 count + bytes. Before the first round the controller sends one JSON
line naming its ports and outputs and the samples of a window, or {"error": ...}. End of file ends
it.
"""

import json
import struct
import sys
from array import array

from firmline.hal.ramfiles import open_files

_PORT_BYTES = 1024
_FED_BIT = 31
_GROUPS = 512  # of one sample of each input, in a window


class Port:
    """Bytes of one round, in both directions."""

    def __init__(self):
        self._received = bytearray(_PORT_BYTES)
        self._received_count = 0
        self.sent = bytearray(_PORT_BYTES)
        self.sent_count = 0
        self.overruns = 0
        self.wanted = 1

    def feed(self, data):
        room = _PORT_BYTES - self._received_count
        if len(data) > room:
            self.overruns += 1
            data = data[:room]
        end = self._received_count + len(data)
        self._received[self._received_count : end] = data
        self._received_count = end

    def write(self, buffer, count):
        for index in range(min(count, _PORT_BYTES - self.sent_count)):
            self.sent[self.sent_count + index] = buffer[index]
        self.sent_count += count

    def any(self):
        return self._received_count

    def readinto(self, buffer, count):
        count = min(count, self._received_count)
        for index in range(count):
            buffer[index] = self._received[index]
        left = self._received_count - count
        self._received[:left] = self._received[count : self._received_count]
        self._received_count = left
        return count

    def tx_done(self):
        return True


class Windows:
    """As rp2_adc.AdcWindows, of what the bench has sampled."""

    overruns = 0

    def __init__(self, inputs):
        self.slots = (1, 2, 4)[inputs - 1]
        self.samples = array("H", bytes(2 * _GROUPS * self.slots))
        self._is_new = False

    def feed(self, data):
        memoryview(self.samples)[:] = memoryview(array("H", data))
        self._is_new = True

    def window(self):
        is_new = self._is_new
        self._is_new = False
        return 0 if is_new else -1

    def is_intact(self):
        return True


class Output:
    def __init__(self, active_low):
        self.is_on = False

    def set(self, on):
        self.is_on = bool(on)

    def readback(self):
        return self.is_on


class Hardware:
    """The bench on the other end of stdin and stdout. data_path: as in unix.py."""

    model = "lockstep"
    serial = "0"
    has_clock = False  # it is the bench's, and starts with the first round
    cause = 0  # what reset_cause says
    is_restarting = False
    is_small = False

    def __init__(self, config_path, data_path=None):
        self._config_path = config_path
        self.words = [0, 0, 0, 0]  # the marker, and what would outlive a reset
        self.files = open_files(data_path)
        self._in = sys.stdin.buffer
        self._out = sys.stdout.buffer
        self._is_running = False
        self._is_fed = False
        self._ports = []
        self._names = []
        self._adc = None
        self._outputs = []
        self._pins = []

    def read_config(self):
        with open(self._config_path) as file:
            return file.read()

    def open_port(self, name, baud, is_even):
        port = Port()
        self._ports.append(port)
        self._names.append(name)
        return port

    def open_output(self, pin, active_low, readback_pin):
        output = Output(active_low)
        self._outputs.append(output)
        self._pins.append(pin)
        return output

    def open_adc(self, inputs, mains_hz):
        self._adc = Windows(inputs)
        return self._adc

    def open_network(self, settings):
        return None

    def open_console(self):
        return None  # stdin and stdout carry the rounds

    def open_listener(self, tcp_port):
        raise OSError("TCP port %d: there is no network in lock-step" % tcp_port)

    def last_cause(self):
        return ""

    def ticks_us(self):
        return 0  # durations are not the chip's here, and would make runs differ

    def make_safe(self):
        for output in self._outputs:
            output.set(False)

    def feed_watchdog(self):
        self._is_fed = True

    def guard_outputs(self, outputs, limit_ms):
        pass

    def reset_cause(self):
        return self.cause

    def marker(self):
        return self.words[0]

    def set_marker(self, word):
        self.words[0] = word

    def kept(self, k):
        return self.words[k]

    def keep(self, k, word):
        self.words[k] = word

    def is_service(self):
        return False

    def restart(self):
        """The bench sees the end of file."""
        self.make_safe()
        sys.exit(1)

    def run_safe(self, safe_mode):
        pass

    def record_cause(self, text):
        if self._is_running:  # the rounds must not be disturbed
            sys.stderr.write("firmline: %s\n" % text)
            return
        self._out.write(json.dumps({"error": text}).encode() + b"\n")

    def run(self, controller):
        self._is_running = True
        window = len(self._adc.samples) if self._adc else 0
        told = {"ports": self._names, "pins": self._pins, "window": window}
        self._out.write(json.dumps(told).encode() + b"\n")
        header = bytearray(10)
        while True:
            data = self._in.read(4)
            if len(data) < 4:
                return
            now_ms = struct.unpack("<I", data)[0]
            for port in self._ports:
                count = struct.unpack("<H", self._in.read(2))[0]
                if count:
                    port.feed(self._in.read(count))
            if self._adc:
                count = struct.unpack("<H", self._in.read(2))[0]
                if count:
                    self._adc.feed(self._in.read(count))
            self._is_fed = False
            wait_ms = controller.poll(now_ms)
            outputs = self._is_fed << _FED_BIT
            for index in range(len(self._outputs)):
                outputs |= self._outputs[index].is_on << index
            view = controller.telemetry.values
            struct.pack_into("<IIH", header, 0, wait_ms, outputs, 4 * len(view))
            self._out.write(header)
            self._out.write(view)
            for port in self._ports:
                self._out.write(struct.pack("<H", port.sent_count))
                if port.sent_count:
                    self._out.write(bytes(port.sent[: port.sent_count]))
                    port.sent_count = 0
