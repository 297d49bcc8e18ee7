# SPDX-License-Identifier: MIT
"""Checks of a configuration that need more than one field. Each takes the filled-in dict and
raises ConfigError or returns. Called by config.load in the order of CHECKS.
"""

from firmline.services.config_fields import MAX_FALLBACK_MS, MISSING, ConfigError, shown


def phase_mask(phases):
    """Bits 0..2 for L1..L3 of a text such as "L12"."""
    mask = 0
    for digit in phases[1:]:
        mask |= 1 << (int(digit) - 1)
    return mask


def circuit_a(site):
    """Setting ceiling in amps per conductor: the circuit's rating, with the 80 % rule."""
    return _circuit(site)[0]


def circuit_w(site):
    """The circuit's rating in watts, all conductors together: the ceiling of an export limit."""
    return _circuit(site)[0] * site["voltage_v"] * site["phases"]


def ceiling_w(site):
    """Setting ceiling of an import limit: the circuit, demand load and connected load."""
    return _ceiling(site)[0]


def _circuit(site):
    amps = site["service_a"]
    why = "service_a"
    if not site["full_rated"]:
        amps = amps * 4 // 5
        why = "80 % of service_a, which is not full_rated"
    if site["conductor_a"] is not None and site["conductor_a"] < amps:
        amps = site["conductor_a"]
        why = "conductor_a"
    return amps, why


def _ceiling(site):
    watts = circuit_w(site)
    why = _circuit(site)[1]
    for key in ("demand_load_w", "connected_load_w"):
        if site[key] is not None and site[key] < watts:
            watts = site[key]
            why = key
    return watts, why


def _check_ceiling(config):
    site = config["site"]
    amps, why = _circuit(site)
    if site["firm_a"] > amps:
        raise ConfigError("site.firm_a", site["firm_a"], "at most %d A: %s" % (amps, why))
    watts = circuit_w(site)
    if site["firm_export_w"] > watts:
        accepts = "at most %d W: %s" % (watts, why)
        raise ConfigError("site.firm_export_w", site["firm_export_w"], accepts)
    watts, why = _ceiling(site)
    if site["firm_import_w"] > watts:
        accepts = "at most %d W: %s" % (watts, why)
        raise ConfigError("site.firm_import_w", site["firm_import_w"], accepts)


def _check_timing(config):
    timing = config["timing"]
    most = MAX_FALLBACK_MS - 2 * timing["tick_ms"]
    if timing["fallback_ms"] > most:
        accepts = "at most %d ms: fallback_ms and two ticks within 4000 ms" % most
        raise ConfigError("timing.fallback_ms", timing["fallback_ms"], accepts)
    if timing["hold_ms"] >= timing["fallback_ms"]:
        accepts = "less than fallback_ms %d" % timing["fallback_ms"]
        raise ConfigError("timing.hold_ms", timing["hold_ms"], accepts)


def _check_ports(config):
    ports = []
    for index, bus in enumerate(config["buses"]):
        if bus["port"] in ports:
            raise ConfigError("buses[%d].port" % index, bus["port"], "a port of its own")
        ports.append(bus["port"])
    head_end = config["head_end"]
    if head_end is None:
        return
    if head_end["port"] is None and head_end["tcp_port"] is None:
        raise ConfigError(
            "head_end.port", MISSING, "a text of 1 to 32 characters, unless there is a tcp_port"
        )
    if head_end["port"] in ports:
        raise ConfigError("head_end.port", head_end["port"], "a port that no bus uses")
    beat_s = head_end["heartbeat_s"]
    if beat_s is not None and head_end["timeout_s"] < 2 * beat_s:
        accepts = "at least %d s: two heartbeats, so that one may be lost" % (2 * beat_s)
        raise ConfigError("head_end.timeout_s", head_end["timeout_s"], accepts)


def _check_unique(config):
    """Names, Modbus addresses on a bus, output pins: each once."""
    seen = {}
    for index, device in enumerate(config["devices"]):
        bus = device.get("bus", 0)
        if bus >= len(config["buses"]):
            accepts = "an index of buses, 0 to %d" % (len(config["buses"]) - 1)
            raise ConfigError("devices[%d].bus" % index, bus, accepts)
        for key in ("name", "unit", "pin", "readback_pin"):
            if device.get(key) is not None:
                kind = "pin" if key.endswith("pin") else key
                mark = (kind, bus if key == "unit" else 0, device[key])
                if mark in seen:
                    accepts = "a %s that devices[%d] does not use" % (key, seen[mark])
                    raise ConfigError("devices[%d].%s" % (index, key), device[key], accepts)
                seen[mark] = index


def _check_meter(config):
    pcc = None
    for index, device in enumerate(config["devices"]):
        if "role" not in device:
            continue
        if pcc is not None:
            accepts = "one pcc meter, which devices[%d] is" % pcc
            raise ConfigError("devices[%d].role" % index, device["role"], accepts)
        pcc = index
        hold_ms = config["timing"]["hold_ms"]
        if "unit" not in device:
            from firmline.services import config_ct

            config_ct.check(config, index)
        elif device["poll_ms"] >= hold_ms:
            accepts = "less than timing.hold_ms %d" % hold_ms
            raise ConfigError("devices[%d].poll_ms" % index, device["poll_ms"], accepts)
    if pcc is None:
        raise ConfigError("devices", config["devices"], "a list with one meter of role pcc")


def _check_devices(config):
    """Fields of one device against each other, and its conductors against the site's."""
    site_phases = ("L1", "L12", "L123")[config["site"]["phases"] - 1]
    for index, device in enumerate(config["devices"]):
        path = "devices[%d]." % index
        if "phases" in device and phase_mask(device["phases"]) & ~phase_mask(site_phases):
            raise ConfigError(path + "phases", device["phases"], "conductors of " + site_phases)
        low = high = None
        name = "fallback_w"
        if "max_a" in device:
            low, high, name = device["min_a"], device["max_a"], "fallback_a"
            if low > high:
                raise ConfigError(path + "min_a", low, "at most max_a %d" % high)
            if device[name] == 0:
                low = 0
        elif "rated_w" in device:
            low, high = 0, device["rated_w"]
        elif "max_charge_w" in device:
            low, high = -device["max_discharge_w"], device["max_charge_w"]
        if high is not None and not low <= device[name] <= high:
            accepts = "an integer from %d to %d" % (low, high)
            if name == "fallback_a":
                accepts = "0 or " + accepts
            raise ConfigError(path + name, device[name], accepts)


def _fallback(device, voltage_v):
    """The field that sets what the device does in fallback, and the watts it then takes."""
    if "fallback_a" in device:
        wires = len(device["phases"]) - 1
        return "fallback_a", device["fallback_a"] * voltage_v * wires
    if "rated_w" in device:
        return "fallback_w", -device["fallback_w"]
    if "fallback_w" in device:
        return "fallback_w", device["fallback_w"]
    if "load_w" in device and device["fallback_on"]:
        return "fallback_on", device["load_w"]
    return "load_w", device.get("load_w", 0) if device.get("protected") else 0


def _check_fallback(config):
    """Fallback is open loop: its worst case must fit under the firm limits by itself."""
    site = config["site"]
    worst_w = site["worst_case_load_w"]
    if worst_w is not None and worst_w > site["firm_import_w"]:
        accepts = "at most firm_import_w %d" % site["firm_import_w"]
        raise ConfigError("site.worst_case_load_w", worst_w, accepts)
    import_w = site["firm_import_w"] - (worst_w or 0)
    export_w = site["firm_export_w"]
    for index, device in enumerate(config["devices"]):
        key, power_w = _fallback(device, site["voltage_v"])
        field = "devices[%d].%s" % (index, key)
        if power_w > 0 and worst_w is None:
            if key != "load_w":  # a protected load is never shed, whatever is known
                accepts = shown(False if key == "fallback_on" else 0)
                accepts += ", as site.worst_case_load_w is missing"
                raise ConfigError(field, device[key], accepts)
        elif power_w > import_w:
            accepts = (
                "at most %d W in fallback: firm_import_w less worst_case_load_w and " % import_w
            )
            raise ConfigError(field, device[key], accepts + "the devices before it")
        elif -power_w > export_w:
            accepts = "at most %d W in fallback: firm_export_w less the devices before it"
            raise ConfigError(field, device[key], accepts % export_w)
        elif power_w > 0:
            import_w -= power_w
        else:
            export_w += power_w


def _check_fallback_current(config):
    """The same on each conductor, the uncontrolled load taken as balanced."""
    site = config["site"]
    worst_w = (site["worst_case_load_w"] or 0) // site["phases"]
    left_w = [site["firm_a"] * site["voltage_v"] - worst_w] * 3
    for index, device in enumerate(config["devices"]):
        key, power_w = _fallback(device, site["voltage_v"])
        if power_w <= 0:
            continue
        conductors = [int(digit) - 1 for digit in device["phases"][1:]]
        share_w = power_w // len(conductors)
        room_w = min([left_w[conductor] for conductor in conductors])
        if share_w > room_w and key != "load_w":
            accepts = "at most %d A in fallback on %s: firm_a less worst_case_load_w and "
            accepts = accepts % (room_w // site["voltage_v"], device["phases"])
            field = "devices[%d].%s" % (index, key)
            raise ConfigError(field, device[key], accepts + "the devices before it")
        for conductor in conductors:
            left_w[conductor] -= share_w


def _check_network(config):
    """A name would have to be looked up, which blocks: the server is given as a number."""
    network = config["network"]
    if network is None or network["ntp_server"] is None:
        return
    parts = network["ntp_server"].split(".")
    for part in parts:
        if len(parts) != 4 or not part.isdigit() or int(part) > 255:
            accepts = "an IPv4 address such as 192.168.1.1"
            raise ConfigError("network.ntp_server", network["ntp_server"], accepts)


CHECKS = (
    _check_ceiling,
    _check_timing,
    _check_ports,
    _check_network,
    _check_unique,
    _check_meter,
    _check_devices,
    _check_fallback,
    _check_fallback_current,
)
