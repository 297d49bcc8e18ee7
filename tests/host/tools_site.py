# SPDX-License-Identifier: MIT
"""The test bay: the site of the tests that start main.py as a user would. A test takes it as it
is, or with devices of its own: `CONFIG | {"devices": [METER, ...]}`."""

UNIT = 7
METER = {"name": "grid", "type": "eastron_sdm630", "unit": 1}
CONFIG = {
    "schema": 1,
    "site": {
        "name": "Test bay",
        "phases": 1,
        "voltage_v": 230,
        "service_a": 63,
        "firm_import_w": 9000,
        "firm_export_w": 0,
        "worst_case_load_w": 5000,
    },
    "buses": [{"port": "uart0", "baud": 19200}],
    "head_end": {"port": "uart1", "baud": 19200, "unit": UNIT},
    "devices": [METER],
}
