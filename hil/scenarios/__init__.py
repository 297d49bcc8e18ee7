# SPDX-License-Identifier: MIT
"""Scenario files (TOML) and what reads them: `load.load`, `load.build_config`."""
