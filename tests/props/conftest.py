# SPDX-License-Identifier: MIT
"""The helpers of this folder are found by name, as those of tests/dual are."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
