# SPDX-License-Identifier: MIT
"""The site that the tests of the tools' ways in are about."""

UNIT = 7
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
    "devices": [{"name": "grid", "type": "eastron_sdm630", "unit": 1}],
}
