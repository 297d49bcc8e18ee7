# SPDX-License-Identifier: MIT
"""The door for an installer's tools: who may come in, the ways they come, restart and files.

Installer lock, Hazard H-14: what changes the configuration or restarts needs physical access: the
console, or the service jumper. It never raises and allocates nothing while nobody uses it. What
only a tool needs is imported when one comes, and control waits for that (docs/tools-protocol.md):
modbus.ascii with the first byte from the console, for good; services.files when a file is first
asked for, until nobody has for a while. Where that fails, it is counted and tried again later.
Called by the app in each poll, by the registers and by the servers' Pdu.
"""

import gc
import sys

from firmline.core.units import const, elapsed_ms

# Of services.register_map, but folded into the code (a test compares)
_COMMIT = const(40312)
_RESTART = const(40316)
_T_BOOT_COUNT = const(37)
_T_RESET_CAUSE = const(38)
_T_IS_SERVICE = const(39)
_T_CONFIG_GENERATION = const(40)
_T_FILE_LENGTH = const(41)

_RESTART_WORD = const(0x5AFE)
_COMMIT_WORDS = const(4)
_ANSWER_MS = const(500)  # until a restart: the answer and the safe commands have to leave
_KEEP_MS = const(30000)  # services.files stays for so long after its last use ...
_KEEP_STAGED_MS = const(600000)  # ... and with it what was staged
_WRITE_FILE = const(21)
_MAY_INSTALL = const(2)  # of modbus.pdu
_ILLEGAL_FUNCTION = const(1)
_ILLEGAL_VALUE = const(3)
_DEVICE_FAILURE = const(4)
_BUSY = const(6)
_NEVER = const(-1)
_WANTED = const(-2)  # a restart, from the next poll on
_IDENTITY_BYTES = const(512)  # of services.files (a test compares)
_BOOTS = const(1)  # of services.journal (a test compares)
_AGAIN_MS = const(10000)  # after modbus.ascii could not be imported


class Tools:
    """controller: for its `fail`, `events` and `telemetry`. in_force: the generation of the
    configuration, 0 for one copied by hand as config.json; config_bytes: its length."""

    def __init__(self, controller, hardware, in_force=0, config_bytes=0):
        self._controller = controller
        self._hardware = hardware
        self._servers = []
        self._console = None  # (port, unit, pdu) until its first byte
        self._files = None
        self._pdu = None  # whose request services.files is at work on ...
        self._n = 0  # ... of so many bytes, 0: a commit
        self._now_ms = 0
        self._used_ms = 0
        self._restart_ms = _NEVER  # from when it counts until then
        self._failed_ms = -1  # when modbus.ascii could not be imported
        self.failures = 0  # imports that failed
        self.has_secret = False  # in the configuration in force
        self.is_awake = False
        self.in_force = in_force
        self.earlier = 0  # events of earlier boots in the journal
        self.lengths = [config_bytes, 0, 0, 0, _IDENTITY_BYTES]  # of files 1..5

    def serve(self, server):
        """One more way in: a server of firmline.modbus with a Pdu."""
        server.pdu.files = self
        self._servers.append(server)

    def watch(self, port, unit, pdu):
        """A console: its server is loaded when the first byte comes. pdu: without buffers."""
        self._console = port, unit, pdu

    def poll(self, now_ms):
        """Some ten times a second, at every poll while `is_awake`."""
        self._now_ms = now_ms
        if self._restart_ms == _WANTED:
            self._restart_ms = now_ms
        if self._pdu:
            self._work(self._pdu)
        self.is_awake = self._restart_ms >= 0
        if self._console and self._console[0].any():
            self._load_console(self._console, now_ms)
        for k in range(len(self._servers)):
            self._servers[k].poll(now_ms)
            self.is_awake |= self._servers[k].is_awake
        if self._pdu:
            self.is_awake = True
        elif self._files:
            keep_ms = _KEEP_STAGED_MS if self._files.staged_file else _KEEP_MS
            if elapsed_ms(now_ms, self._used_ms) >= keep_ms:
                self._drop()
        if self._restart_ms >= 0 and elapsed_ms(now_ms, self._restart_ms) >= _ANSWER_MS:
            self._restart()

    def _load_console(self, console, now_ms):
        if self._failed_ms >= 0 and elapsed_ms(now_ms, self._failed_ms) < _AGAIN_MS:
            return
        port, unit, pdu = console
        try:
            from firmline.modbus.ascii import AsciiServer

            self.serve(AsciiServer(port, unit, pdu, self.status))
            self._console = None
        except Exception:  # a full heap, a damaged file: control goes on
            self.failures += 1
            self._failed_ms = now_ms
            _unload("firmline.modbus.ascii", "firmline.modbus", "ascii")

    def _restart(self):
        self._restart_ms = _NEVER
        if self._controller.journal:
            self._controller.journal.flush()
        self._hardware.restart()

    def publish(self, telemetry):
        """What the registers show of the installation."""
        journal = self._controller.journal
        telemetry[_T_BOOT_COUNT] = journal.counts[_BOOTS] if journal else 0
        telemetry[_T_RESET_CAUSE] = self._controller.start_cause
        telemetry[_T_IS_SERVICE] = self._hardware.is_service()
        telemetry[_T_CONFIG_GENERATION] = self.in_force
        lengths = self.lengths
        lengths[2] = 16 * (self.earlier + len(self._controller.events))
        for k in range(5):
            telemetry[_T_FILE_LENGTH + k] = lengths[k]

    def write(self, address, count, request):
        """COMMIT or RESTART, whole; 0 or an exception code."""
        if address == _RESTART:
            if not self.may_install(request):
                return _ILLEGAL_FUNCTION
            if request.get(0) != _RESTART_WORD:
                return _ILLEGAL_VALUE
            self._controller.fail()
            self._restart_ms = _WANTED
            self.is_awake = True
            return 0
        if address != _COMMIT or count != _COMMIT_WORDS:
            return _ILLEGAL_VALUE
        if not self.may_install(request):
            return _ILLEGAL_FUNCTION
        return self.answer(0, request, 0)

    def answer(self, function, pdu, n):
        """Functions 20 and 21 for the Pdu, which are answered later; or an exception code. n 0: a
        commit. What services.files has to do is done from `poll`, a step each: here, below a
        server, little is left of the stack, of which an import and a file system take much."""
        if function == _WRITE_FILE and not self.may_install(pdu):
            return _ILLEGAL_FUNCTION
        if self._pdu and self._pdu is not pdu:
            return _BUSY
        self._pdu = pdu
        self._n = n
        pdu.later = -1
        self.is_awake = True
        return 0

    def _work(self, pdu):
        code = self._run(pdu, self._n) if pdu.later < 0 else _DEVICE_FAILURE  # given up
        if code:
            self._pdu = None
            if pdu.later < 0:
                pdu.later = pdu.reply(code)

    def status(self):
        """One line for a person at the console, b"" where that failed."""
        text = self._run(None, 0) or self._run(None, 0)
        return b"" if text == _DEVICE_FAILURE else text

    def may_install(self, request):
        return request.rights & _MAY_INSTALL or self._hardware.is_service()

    def _run(self, request, n):
        """services.files, loaded if it is not, does a step of that: 0, or what Pdu.reply takes. A
        failure is only an answer."""
        self._used_ms = self._now_ms
        try:
            if self._files is None:
                from firmline.services.files import Files

                self._files = Files(self._controller, self._hardware, self)
                return 0
            return self._files.run(request, n)
        except Exception:
            self.failures += 1
            self._drop()
            return _DEVICE_FAILURE

    def _drop(self):
        """Forget services.files and what was staged."""
        if self._files:
            self._files.forget()
            self._files = None
        _unload("firmline.services.files", "firmline.services", "files")


def _unload(name, package, own):
    """Take a module out of memory, also half of one. It needs none for that."""
    if name in sys.modules:
        del sys.modules[name]
    if hasattr(sys.modules[package], own):
        delattr(sys.modules[package], own)
    gc.collect()
