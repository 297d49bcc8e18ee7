# SPDX-License-Identifier: MIT
"""`python -m host_tools` is the command `firmline`."""

import sys

from host_tools.cli import main

sys.exit(main())
