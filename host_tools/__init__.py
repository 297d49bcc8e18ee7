# SPDX-License-Identifier: MIT
"""Tools for a person at a computer: deploy, commission, monitor, read the log.

CPython only; the firmware never imports them.
"""
