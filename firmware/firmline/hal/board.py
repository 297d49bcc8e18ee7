# SPDX-License-Identifier: MIT
"""What `machine` gives on both chips: UART with RS-485 direction, outputs, watchdog, clock.

`any()` before `readinto` always, because a read with more room than data blocks (uart timeout
per byte). Direction is dropped in `any()`, so after the last bit and the poll that is under way;
rp2.py does better.
"""

import gc
import time

import machine

from firmline.core.units import TICKS_MASK, const
from firmline.hal.files import FileStore

_CONFIG_PATH = "config.json"
_CAUSE_PATH = "cause.txt"
_DATA_PATH = "/data"
_REASONS = const(0x300)  # marker words of services.boot
_RESTART_WANTED = const(0x0B5A0100)


class SerialPort:
    """8 data bits, 1 stop bit; `enable`: driver-enable Pin, None for an auto-direction
    transceiver."""

    wanted = 1  # until its owner says otherwise

    def __init__(self, number, baud, is_even, tx, rx, enable):
        self._enable = None
        if enable is not None:
            self._enable = machine.Pin(enable, machine.Pin.OUT, value=0)
        self._uart = machine.UART(
            number,
            baud,
            parity=0 if is_even else None,
            tx=machine.Pin(tx),
            rx=machine.Pin(rx),
            txbuf=256,
            rxbuf=256,
            timeout=0,
        )
        self._is_sending = False

    def write(self, buffer, count):
        if self._enable is not None:
            self._enable.value(1)
            self._is_sending = True
        self._uart.write(buffer, count)  # pyright: ignore[reportCallIssue]

    def any(self):
        if self._is_sending and self._uart.txdone():
            self._enable.value(0)
            self._is_sending = False
        return self._uart.any()

    def readinto(self, buffer, count):
        return self._uart.readinto(buffer, count) or 0

    def tx_done(self):
        return self._uart.txdone()


class Output:
    """readback_pin: an auxiliary contact that closes to ground while the relay is on; None: what
    the pin itself is at is read back."""

    def __init__(self, pin, active_low, readback_pin, pull):
        self._active_low = active_low
        self._pull = pull  # toward the idle level
        self._pin = machine.Pin(pin, machine.Pin.OUT, value=1 if active_low else 0)
        self._contact = None
        if readback_pin is not None:
            self._contact = machine.Pin(readback_pin, machine.Pin.IN, machine.Pin.PULL_UP)

    def set(self, on):
        self._pin.value(bool(on) != self._active_low)

    def release(self):
        """Let go of the pin, for good: what `set` says has no effect from now on. May be called
        in an interrupt."""
        self._pin.init(machine.Pin.IN, self._pull)

    def readback(self):
        if self._contact is not None:
            return not self._contact.value()
        return bool(self._pin.value()) != self._active_low


class BoardHardware:
    """One owner of every peripheral. The watchdog starts with the first feed, never before."""

    port_class = SerialPort
    has_clock = True
    is_small = True  # memory: what only the start needs is dropped
    is_restarting = False  # a restart of a board does not come back

    def __init__(self, board):
        self._board = board
        self.model = board.NAME
        self.serial = "".join("%02x" % byte for byte in machine.unique_id())
        self.files = FileStore(_DATA_PATH)
        self._watchdog = None
        self._is_armed = False
        self._ports = []
        service = machine.Pin(board.SERVICE_PIN, machine.Pin.IN, machine.Pin.PULL_UP)
        self._is_service = service.value() == 0

    def read_config(self):
        try:
            with open(_CONFIG_PATH) as file:
                return file.read()
        except OSError as error:
            raise OSError("%s cannot be read: %s" % (_CONFIG_PATH, error))

    def open_port(self, name, baud, is_even):
        from firmline.hal import wired  # dropped once all is built

        number, tx, rx, enable = wired.uart(self._board, name)
        port = self.port_class(number, baud, is_even, tx, rx, enable)
        self._ports.append(port)
        return port

    def open_output(self, pin, active_low, readback_pin):
        from firmline.hal import wired

        wired.check_output(self._board, pin, readback_pin)
        active_low = active_low != bool(self._board.IDLE_LEVEL)
        return Output(pin, active_low, readback_pin, self._idle_pull())

    def open_network(self, settings):
        """Before the watchdog runs: switching a radio on takes seconds."""
        from firmline.hal import wired

        wired.check_radio(self._board)
        import network  # the chip's; firmline.hal.network is ours

        from firmline.hal.network import Network

        wlan = network.WLAN(network.STA_IF)
        wlan.active(True)
        return Network(settings, wlan)

    def open_pwm(self, pin, hz):
        from firmline.hal import wired
        from firmline.hal.pwm import Pwm

        wired.check_pwm(self._board, pin)
        return Pwm(pin, hz)

    def open_console(self):
        """USB serial, or the UART that the interpreter talks on. Ctrl-C stays alive on it."""
        from firmline.hal.console import Console

        return Console()

    def open_listener(self, tcp_port):
        try:
            from firmline.hal.tcp import Listener
        except ImportError:
            raise OSError("TCP port %d: this board has no network" % tcp_port)
        return Listener("0.0.0.0", tcp_port)  # noqa: S104 - a board is reached from its network

    def last_cause(self):
        return _text_of(_CAUSE_PATH) or ""

    def ticks_ms(self):
        return time.ticks_ms() & TICKS_MASK  # pyright: ignore[reportOperatorIssue]

    def ticks_us(self):
        return time.ticks_us() & TICKS_MASK  # pyright: ignore[reportOperatorIssue]

    def make_safe(self):
        """Every output floats to its idle level, whatever the configuration says of it."""
        for pin in self._board.OUTPUT_PINS:
            machine.Pin(pin, machine.Pin.IN, self._idle_pull())
        for pin in self._board.PWM_PINS:
            machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_DOWN)

    def _idle_pull(self):
        return machine.Pin.PULL_UP if self._board.IDLE_LEVEL else machine.Pin.PULL_DOWN

    def kept(self, k):
        """Word k, 0..3, that outlives a reset but not a power-up; 0: nothing. Below 2**30."""
        return 0

    def keep(self, k, word):
        """Nothing is kept where the chip's own class knows no place for it."""

    def marker(self):
        return self.kept(0)

    def set_marker(self, word):
        self.keep(0, word)

    def guard_outputs(self, outputs, limit_ms):
        """The trip outputs, to be opened beside the program where the board can (rp2) when
        nothing was fed for limit_ms."""

    def _arm(self):
        """The first feed: from here on whoever guards is awake."""
        if not self._is_service:
            self._watchdog = machine.WDT(timeout=self._board.WATCHDOG_MS)

    def feed_watchdog(self):
        """The one place that feeds."""
        if not self._is_armed:
            self._is_armed = True
            self._arm()
        if self._watchdog is not None:
            self._watchdog.feed()

    def is_service(self):
        """The service jumper was fitted at power-up."""
        return self._is_service

    def restart(self):
        """Somebody asked for it, or the program failed: the marker then says which."""
        self.make_safe()
        if self.marker() & _REASONS == 0:
            self.set_marker(_RESTART_WANTED)
        machine.reset()

    def record_cause(self, text):
        """Written only when it is another than before: a fault that comes back after every reset
        must not wear the flash out."""
        print("firmline:", text)
        try:
            if _text_of(_CAUSE_PATH) != text:
                with open(_CAUSE_PATH, "w") as file:
                    file.write(text)
        except OSError as error:
            print("firmline: %s: %s" % (_CAUSE_PATH, error))

    def run_safe(self, safe_mode):
        """For ever; a key pressed at the console (Ctrl-C) leads to the prompt."""
        while True:
            time.sleep_ms(safe_mode.poll(self.ticks_ms()))

    def run(self, controller):
        gc.collect()  # the last for long: nothing allocates from here on
        gc.threshold(-1)
        while True:
            self._rest(controller.poll(self.ticks_ms()))

    def _rest(self, wait_ms):
        """Sleep until bytes worth a poll have come or wait_ms have passed. `machine.idle` returns
        after 1 ms or at an interrupt, so a direction pin is dropped at most 1 ms after the last
        bit."""
        start_ms = time.ticks_ms()
        while True:
            for port in self._ports:
                if port.any() >= port.wanted:
                    return
            if time.ticks_diff(time.ticks_ms(), start_ms) >= wait_ms:
                return
            machine.idle()


def _text_of(path):
    try:
        with open(path) as file:
            return file.read()
    except (OSError, ValueError):  # ValueError: not a text, as a torn write may leave it
        return None
