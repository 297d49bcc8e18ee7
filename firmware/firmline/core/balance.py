# SPDX-License-Identifier: MIT
"""What the site would exchange without its flexible resources, seen through one PCC sample.

`uncontrolled = measured at the PCC - what the resources contribute`. While a changed command is
in flight its contribution is unknown between old and new; then the value is taken that calls for
no second step on the same information (docs/requirements.md, R5), once for import and once for
export. No credit beyond the command, none against its sign.
"""

from firmline.core.ledger import take_out
from firmline.core.snapshot import watts_array
from firmline.core.units import AXES


class Balance:
    """`import_w[axis]`, `export_w[axis]`: uncontrolled W for judging import and export.
    `credit_w[index]`: what was taken out for import."""

    def __init__(self, site, resources):
        self._axes = site.axes
        self._table = resources.table
        self.import_w = watts_array(AXES)
        self.export_w = watts_array(AXES)
        self.credit_w = resources.credit_w

    def update(self, snapshot):
        take_out(self._table, snapshot.axis_w, self.import_w, self.export_w, self._axes)
