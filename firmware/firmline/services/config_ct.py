# SPDX-License-Identifier: MIT
"""The fields of a ct_input, and the checks of what such inputs can measure. Read by config.py and
config_checks.py, imported only where one is configured.
"""

from firmline.services.config_fields import COMMON, INT, MISSING, PCC, ConfigError

GROUPS = (
    COMMON,
    (
        PCC,
        ("rated_a", INT, 5, 500, ..., "A"),
        ("rated_mv", INT, 200, 1100, ..., "mV"),
        ("voltage_mv", INT, 200, 1000, None, "mV"),
        ("mains_hz", INT, 50, 60, 50, "Hz"),
        ("latency_ms", INT, 0, 10000, 350, "ms"),
    ),
)


def check(config, index):
    """The ct_input devices[index] against the site, or ConfigError."""
    site = config["site"]
    device = config["devices"][index]
    path = "devices[%d]." % index
    if config["timing"]["hold_ms"] < 200:
        accepts = "at least 200 ms: a window of devices[%d] takes 160" % index
        raise ConfigError("timing.hold_ms", config["timing"]["hold_ms"], accepts)
    if device["mains_hz"] not in (50, 60):
        raise ConfigError(path + "mains_hz", device["mains_hz"], "50 or 60 Hz")
    if device["rated_a"] < site["firm_a"]:
        accepts = "at least site.firm_a %d A, or an excess is not measured" % site["firm_a"]
        raise ConfigError(path + "rated_a", device["rated_a"], accepts)
    if device["voltage_mv"] is None:
        _check_direction(config, path)
    elif site["phases"] == 3:
        accepts = "null: three CTs take every input of the board"
        raise ConfigError(path + "voltage_mv", device["voltage_mv"], accepts)


def _check_direction(config, path):
    """Without a voltage every current counts as import: an export would not be seen."""
    for index, device in enumerate(config["devices"]):
        if "rated_w" in device or device.get("max_discharge_w"):
            accepts = "a voltage input, or a Modbus meter, as devices[%d] can supply: CTs alone "
            accepts = accepts % index + "do not see the direction"
            raise ConfigError(path + "voltage_mv", MISSING, accepts)
