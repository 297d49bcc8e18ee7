# SPDX-License-Identifier: MIT
"""The pages that are printed from firmware tables are the ones in docs/."""

from pathlib import Path

import pytest

from host_tools import configuration_doc, registers_doc

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(
    "module, page", [(registers_doc, "registers.md"), (configuration_doc, "configuration.md")]
)
def test_the_page_is_what_its_generator_prints(module, page):
    printed = module.markdown()
    assert (DOCS / page).read_text(encoding="utf-8") == printed, (
        f"python {Path(module.__file__).parent.name}/{Path(module.__file__).name} > docs/{page}"
    )


def test_every_register_has_a_meaning():
    rows = list(registers_doc.rows())
    assert [row[3] for row in rows if not row[7]] == []
    addresses = [at for _, first, width, *_ in rows for at in range(first, first + width)]
    assert addresses == list(range(40_000, 40_319))


def test_no_meaning_is_left_over():
    names = {point[1] for point in registers_doc.register_map.POINTS}
    assert set(registers_doc.MEANINGS) <= names


def test_exactly_the_five_blocks_are_writable():
    writable = [(row[1], row[3]) for row in registers_doc.rows() if row[6]]
    assert writable == [
        (40_225, "heartbeat"),
        (40_226, "dynamic_import_w"),
        (40_228, "dynamic_export_w"),
        (40_230, "dynamic_duration_s"),
        (40_231, "emergency_import_w"),
        (40_233, "emergency_export_w"),
        (40_235, "emergency_duration_s"),
        (40_312, "commit_file"),
        (40_313, "commit_length"),
        (40_314, "commit_crc32"),
        (40_316, "restart"),
    ]


def test_every_configuration_field_is_explained_once():
    used = set()
    for _, section, rows in configuration_doc.sections():
        for row in rows:
            meaning, _ = configuration_doc.texts(section, row[0])
            assert meaning, (section, row[0])
            used.add(row[0])
    assert {name for _, name in configuration_doc._TEXTS} == used
