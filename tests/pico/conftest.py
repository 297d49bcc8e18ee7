# SPDX-License-Identifier: MIT
"""The emulated RP2040 for the tests; skipped, with the reason, where it cannot run."""

import pytest

from hil.targets.pico import assets, chip, image
from host_tools import fold
from tests.pico.runs import assets_or_skip

collect_ignore_glob = ["board/*"]  # run on the chip, not here


@pytest.fixture(scope="session")
def pico_assets():
    return assets_or_skip()


@pytest.fixture
def boot(pico_assets):
    """boot(main, files={}, watch=(), analog={}) -> a Chip that runs `main` as its main.py.
    Constants of the firmware are folded into it, as into the compiled modules."""
    chips = []

    def start(main, files=None, watch=(), analog=None):
        flash = image.flash_image(
            pico_assets[assets.MICROPYTHON],
            {"main.py": fold.folded(main).encode(), **(files or {})},
        )
        chips.append(chip.Chip(pico_assets[assets.BOOTROM], flash, [2, 6], watch, analog))
        return chips[-1]

    yield start
    for each in chips:
        each.close()
