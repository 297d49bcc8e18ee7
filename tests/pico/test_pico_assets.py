# SPDX-License-Identifier: MIT
"""What the target says where it cannot run. Needs none of the downloads."""

import hashlib

import pytest

from hil.targets.firmware import TargetError
from hil.targets.pico import assets


def test_without_the_folder_one_line_says_what_to_do(monkeypatch):
    monkeypatch.delenv("PICO_ASSETS", raising=False)

    with pytest.raises(TargetError, match="PICO_ASSETS is not set: `make pico-assets`") as error:
        assets.read()

    assert "\n" not in str(error.value)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(TargetError, match="no such folder"):
        assets.read(tmp_path / "none")


def test_a_file_with_another_content_does_not_count(tmp_path):
    (tmp_path / "bootrom.bin").write_bytes(b"something else")

    with pytest.raises(TargetError, match="no bootrom.bin with the pinned SHA-256"):
        assets.read(tmp_path)


def test_the_words_of_a_source_are_the_bytes_of_the_binary():
    assert assets.words_of("[0x20041f00, 0x000000ef]") == bytes.fromhex("001f0420ef000000")


def test_the_listing_names_each_file_its_hash_and_its_source(tmp_path, capsys):
    assert assets.main([str(tmp_path)]) == 1

    said = capsys.readouterr().out
    assert said.count("MISSING") == 2
    assert "micropython.org" in said
    assert "pico-bootrom" in said
    assert all(asset.sha256 in said for asset in assets.ASSETS)


def test_every_pinned_hash_is_a_sha256():
    lengths = {len(asset.sha256) for asset in assets.ASSETS}

    assert lengths == {len(hashlib.sha256().hexdigest())}
