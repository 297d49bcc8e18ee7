# SPDX-License-Identifier: MIT
"""Target `pico`: the official MicroPython of an RP2040 board, in an emulated chip, in lock-step.

`target` is what the bench uses; `assets` finds the two files that a user downloads, `image`
makes the flash of the board, `chip` talks to the emulator (Node.js, the .mjs files).
docs/pico-target.md.
"""
