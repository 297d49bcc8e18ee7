# SPDX-License-Identifier: MIT
"""What a run leaves behind: `files.write_run(result, out_dir)`."""
