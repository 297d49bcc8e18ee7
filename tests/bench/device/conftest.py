# SPDX-License-Identifier: MIT
collect_ignore_glob = ["*"]  # measurements, run by speed.py in each runtime; they judge nothing
