# SPDX-License-Identifier: MIT
"""The arguments of a controller on the desktop, and the hardware that they ask for."""

import os
import sys

from firmline.core.units import const

_IS_FOLDER = const(0x4000)

_USAGE = """usage: micropython firmware/main.py CONFIG.json --port NAME=DEVICE [--port ...]
                   [--data DIR] [--console] [--listen ADDRESS] [--service]
       micropython firmware/main.py CONFIG.json --lockstep [--data DIR]

Runs the Firmline controller on the desktop: CONFIG.json is the site's configuration
(docs/configuration.md), each --port gives a port of that configuration a tty or pty; --service
stands for the service jumper of a board.
--data keeps counters, lock-outs, events and committed configurations in DIR, which is made if it
is not there; without it they are gone when the program ends.
--console answers Modbus ASCII on stdin and stdout, as a board does on USB. --listen says where the
configuration's tcp_port is to be found: 127.0.0.1 unless given.
"""


def open_hardware(arguments):
    """A hardware object as the usage text says; arguments that make no sense end the program."""
    config_path = None
    data_path = None
    is_lockstep = False
    is_service = False
    ports = {}
    options = {}
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        if argument == "--lockstep":
            is_lockstep = True
        elif argument == "--service":
            is_service = True
        elif argument == "--port":
            position += 1
            _add_port(ports, arguments[position] if position < len(arguments) else "")
        elif argument == "--data" and data_path is None:
            position += 1
            data_path = arguments[position] if position < len(arguments) else ""
            if not data_path or data_path.startswith("-"):
                _refuse("--data %s: wanted a folder" % data_path)
        elif argument == "--console":
            options["console"] = True
        elif argument == "--listen":
            position += 1
            options["listen"] = _address(arguments[position] if position < len(arguments) else "")
        elif config_path is None and not argument.startswith("-"):
            config_path = argument
        else:
            _refuse("not understood: " + argument)
        position += 1
    if config_path is None:
        _refuse("no configuration file given")
    if data_path is not None:
        _make_folder(data_path)
    if is_lockstep:
        from firmline.hal import lockstep

        return lockstep.Hardware(config_path, data_path)
    from firmline.hal import unix

    return unix.Hardware(config_path, ports, is_service, data_path, options)


def _address(argument):
    parts = argument.split(".")
    if len(parts) != 4 or not all(part.isdigit() and int(part) < 256 for part in parts):
        _refuse("--listen %s: wanted an address such as 0.0.0.0" % argument)
    return argument


def _add_port(ports, argument):
    name, _, path = argument.partition("=")
    if not name or not path or name in ports:
        _refuse("--port %s: wanted NAME=DEVICE, each name once" % argument)
    ports[name] = path


def _make_folder(path):
    try:
        if not os.stat(path)[0] & _IS_FOLDER:
            _refuse("--data %s: it is a file, wanted a folder" % path)
    except OSError:
        try:
            os.mkdir(path)
        except OSError as error:
            _refuse("--data %s: no such folder, and none can be made: %s" % (path, error))


def _refuse(reason):
    sys.stderr.write("firmline: %s\n%s" % (reason, _USAGE))
    sys.exit(2)
