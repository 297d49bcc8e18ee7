# SPDX-License-Identifier: MIT
"""From a checked configuration to the objects that run: site, resources, buses and links.

Runs once at start. Amps become nominal watts here and nowhere else.
"""

from firmline.core import snapshot as core
from firmline.core.cycle import Cycle
from firmline.core.units import const
from firmline.devices.catalog import table_of
from firmline.devices.link import DeviceLink
from firmline.modbus.pdu import MAY_INSTALL, MAY_LOOSEN, Pdu
from firmline.modbus.rtu import RtuMaster
from firmline.modbus.server import RtuServer
from firmline.services import config as configs
from firmline.services.bus import Bus
from firmline.services.config_source import MOST_BYTES
from firmline.services.eventlog import E_CONFIG_OTHER, E_CONFIG_REFUSED
from firmline.services.headend import HeadEnd
from firmline.services.outputs import Outputs
from firmline.services.registers import Registers
from firmline.services.sensing import Sensing
from firmline.services.store import TwoGenerations
from firmline.services.tools import Tools

_DEAD_MAN_MS = const(1000)
_KINDS = {"evse": core.EVSE, "battery": core.BATTERY, "pv": core.PV, "relay": core.RELAY}


def build_site(config):
    """The commissioned limits of `config` (from config.load) as a core Site."""
    given = config["site"]
    timing = config["timing"]
    voltage_v = given["voltage_v"]
    site = core.Site(
        given["phases"],
        voltage_v * 10,
        given["firm_import_w"],
        given["firm_export_w"],
        given["firm_a"] * voltage_v,
    )
    site.ceiling_import_w = configs.ceiling_w(given)
    site.ceiling_export_w = configs.circuit_w(given)
    site.ceiling_conductor_w = configs.circuit_a(given) * voltage_v
    site.margin_permille = given["margin_permille"]
    site.response_ms = given["response_s"] * 1000
    site.raise_delay_ms = timing["raise_delay_ms"]
    site.rotation_ms = timing["rotation_s"] * 1000
    for device in config["devices"]:
        if role_of(device) == "meter":
            site.meter_latency_ms = device["latency_ms"]
    return site


def role_of(device):
    return configs.TYPE_ROLES[device["type"]]


def build_resources(config):
    """Resources in the order of the devices, and the list of their device entries."""
    devices = [d for d in config["devices"] if role_of(d) in _KINDS]
    resources = core.Resources(len(devices))
    for index in range(len(devices)):
        _add(resources, index, devices[index], config)
    return resources, devices


def _add(resources, index, device, config):
    role = role_of(device)
    mask = configs.phase_mask(device["phases"])
    wires = (mask & 1) + (mask >> 1 & 1) + (mask >> 2 & 1)
    low_w = min_w = high_w = 0
    fallback_w = device.get("fallback_w", 0)
    if role == "evse":
        watts_per_amp = config["site"]["voltage_v"] * wires
        min_w = device["min_a"] * watts_per_amp
        high_w = device["max_a"] * watts_per_amp
        fallback_w = device["fallback_a"] * watts_per_amp
    elif role == "relay":
        min_w = high_w = device["load_w"]
        fallback_w = high_w if device["fallback_on"] else 0
        resources.is_protected[index] = device["protected"]
    elif role == "pv":
        low_w = -device["rated_w"]
        fallback_w = -fallback_w
    else:
        low_w = -device["max_discharge_w"]
        high_w = device["max_charge_w"]
        if device["policy"] == "self_consumption":
            resources.policy[index] = core.SELF_CONSUMPTION
    resources.add(index, _KINDS[role], mask, low_w, min_w, high_w, fallback_w)
    resources.settle_ms[index] = device.get("settle_ms", 0)
    resources.resume_ms[index] = config["timing"]["resume_delay_ms"]
    if role == "relay":
        resources.resume_ms[index] = device["min_off_s"] * 1000


def build_cycle(config, site, resources, snapshot):
    timing = config["timing"]
    return Cycle(site, resources, snapshot, timing["hold_ms"], timing["fallback_ms"])


def build_link(device, config, others=()):
    """The link of one Modbus device; options in the link's own units. `others`: those built."""
    options = dict(device)
    voltage_v = config["site"]["voltage_v"]
    phases = device.get("phases") or "L123"[: 1 + config["site"]["phases"]]
    options["voltage_dv"] = voltage_v * 10
    options["phases"] = configs.phase_mask(phases)
    if options.get("base") is None:
        options.pop("base", None)
    if role_of(device) == "evse":
        options["fallback_w"] = device["fallback_a"] * voltage_v * (len(phases) - 1)
        options["reversion_s"] = device["watchdog_s"]
        options["split_phase"] = config["site"]["phases"] == 2
    elif role_of(device) == "pv":
        options["fallback_w"] = -device["fallback_w"]
    return DeviceLink(table_of(device["type"]), device["unit"], options, others)


def build_links(config, entries, hardware, events):
    """(device entry, link) of the PCC meter, then of each resource; a relay has no link, and CTs
    are a CtMeter."""
    device = [d for d in config["devices"] if role_of(d) == "meter"][0]
    pairs = []
    if "unit" in device:
        pairs.append((device, build_link(device, config)))
    else:
        from firmline.services import ct_meter

        pairs.append((device, ct_meter.start(device, config["site"], hardware, events)))
    links = []
    for device in entries:
        links.append(build_link(device, config, links) if "unit" in device else None)
        pairs.append((device, links[-1]))
    return pairs


def build_buses(config, pairs, open_port, ticks_us):
    """One Bus per entry; the meter leads its own, CTs are one more. pairs: see build_links.
    open_port(name, baud, is_even) -> port; ticks_us: the clock that measures silence."""
    buses = []
    for number in range(len(config["buses"])):
        entry = config["buses"][number]
        members = []
        meter_index = -1
        for device, link in pairs:
            if link is not None and device.get("bus") == number:
                if role_of(device) == "meter":
                    meter_index = len(members)
                members.append(link)
        baud = entry["baud"]
        is_even = entry["parity"] == "even"
        port = open_port(entry["port"], baud, is_even)
        if is_even:
            baud = baud * 10 // 11  # the master counts 10 bits a byte
        master = RtuMaster(port, baud, ticks_us=ticks_us)
        buses.append(Bus(master, members, meter_index))
    if "bus" not in pairs[0][0]:
        buses.append(pairs[0][1])
    return buses


def open_outputs(config, entries, hardware):
    """The relays of the resources and the trip outputs, all off; the hardware watches over the
    trips from now on."""
    relays = []
    readbacks = []
    for device in entries:
        output = readback = None
        if "pin" in device:
            output, readback = _open_output(device, device["active_low"], hardware)
        relays.append(output)
        readbacks.append(readback)
    trips = []
    for device in config["devices"]:
        if role_of(device) == "trip":
            output, readback = _open_output(device, False, hardware)
            trips.append(output)
            readbacks.append(readback)
    hardware.guard_outputs(trips, max(_DEAD_MAN_MS, 2 * config["timing"]["tick_ms"]))
    return Outputs(relays, trips, readbacks)


def _open_output(device, active_low, hardware):
    from firmline.devices.readback import Readback  # only where there is an output

    output = hardware.open_output(device["pin"], active_low, device["readback_pin"])
    output.set(False)
    return output, Readback(output)


def build_sensing(entries, controller, outputs):
    reserve_permille = [device.get("min_soc_permille", 0) for device in entries]
    return Sensing(
        controller.site,
        controller.resources,
        controller.snapshot,
        controller.meter,
        controller.links,
        outputs,
        reserve_permille,
    )


def build_head_end(config, site, hardware):
    entry = config["head_end"]
    timeout_ms = entry["timeout_s"] * 1000 if entry else 1
    head_end = HeadEnd(timeout_ms, site.firm_import_w, site.firm_export_w)
    head_end.remember(hardware)
    return head_end


def build_registers(config, controller, hardware):
    entry = config["head_end"]
    unit = entry["unit"] if entry else 1
    values = controller.telemetry.values
    names = (hardware.model, hardware.serial)
    return Registers(values, controller.head_end, config["site"], unit, *names)


def build_server(config, registers, open_port):
    entry = config["head_end"]
    if entry is None or entry["port"] is None:
        return None
    port = open_port(entry["port"], entry["baud"], False)
    return RtuServer(port, entry["baud"], entry["unit"], registers)


def build_journal(entries, controller, hardware):
    """None where nothing can be kept."""
    if getattr(hardware, "files", None) is None:
        return None
    from firmline.services.journal_start import open_journal

    pins = [device.get("pin") for device in entries]
    is_service = hardware.is_service()
    return open_journal(controller, hardware.files, pins, is_service, hardware.record_cause)


def build_tools(config, controller, hardware, server):
    """The ways in for tools: the head-end's `server`, the console where there is one, and TCP."""
    source = config.get("source", {"generation": 0, "bytes": 0, "refused": 0, "is_other": False})
    tools = Tools(controller, hardware, source["generation"], source["bytes"])
    tools.has_secret = bool(config.get("network"))
    if getattr(hardware, "files", None) is not None:
        record = TwoGenerations(hardware.files, "record", 1, MOST_BYTES)
        record.find()
        tools.lengths[3] = record.length
    if controller.journal:
        tools.earlier = len(controller.journal.stored()) // 12
    if source["refused"]:
        controller.events.add(E_CONFIG_REFUSED, source["refused"])
    if source["is_other"]:
        controller.events.add(E_CONFIG_OTHER, source["generation"])
    registers = controller.registers
    entry = config["head_end"]
    unit = entry["unit"] if entry else config.get("unit", 1)
    if server:
        server.pdu.files = tools
    console = hardware.open_console()
    if console:
        tools.watch(console, unit, Pdu(registers, b"", b"", MAY_LOOSEN | MAY_INSTALL))
    if entry and entry["tcp_port"] is not None:
        from firmline.modbus.tcp import TcpServer

        listener = hardware.open_listener(entry["tcp_port"])
        rights = MAY_LOOSEN if entry["tcp_may_loosen"] else 0
        tools.serve(TcpServer(listener, unit, registers, rights))
    registers.tools = tools
    return tools
