# SPDX-License-Identifier: MIT
"""host_tools.masking: what is shown of a configuration holds no password, however it is spelt."""

import json

import pytest

from host_tools.masking import masked, password

PASSWORD = 'a "b" \\ 123'
NETWORK = {"ssid": "depot", "password": PASSWORD, "ntp_server": "10.0.0.1"}
CONFIG = {"schema": 1, "site": {"name": "password"}, "network": NETWORK, "devices": [{"unit": 1}]}


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_only_the_password_is_gone(indent):
    text = json.dumps(CONFIG, indent=indent) + "\n"
    shown = masked(text)
    assert shown == text.replace(json.dumps(PASSWORD), '"***"') != text
    assert json.loads(shown) == CONFIG | {"network": NETWORK | {"password": "***"}}
    assert password(text) == PASSWORD and password(shown) == "***"


@pytest.mark.parametrize(
    "text",
    [
        '{"schema": 1,  "site": {}}\n',
        '{"network": null}',
        '{"network": {"ssid": "x"}}',
        "[1, 2]",
        "not JSON",
    ],
)
def test_what_has_no_password_is_shown_to_the_byte(text):
    assert masked(text) == text
    assert password(text) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"network": {"ssid": "x", "pass\\u0077ord": "SECRET12"}}',
        '{"network": {"ssid": "x", "pasword": "SECRET12"}}',
        '{"network": {"ssid": "x", "password": "SECRET12", "password": "SECRET34"}}',
        '{"network": {"ssid": "x", "password": ["SECRET12"]}}',
        '{"network": {"ssid": "x", "password": {"is": "SECRET12"}}}',
        '{"network": ["x", "SECRET12"]}',
        '{"network": "SECRET12"}',
        '{"head_end": {"wifi_password": "SECRET12"}}',
        '{"devices": [{"Password" :\\n"SECRET12"}]}'.replace("\\n", "\n"),
        '{"network": {"ssid": "x", "password": "SECRET12"},}',
        '{"network": {"ssid": "x", password: SECRET12}}',
    ],
)
def test_no_spelling_shows_it(text):
    assert "SECRET" not in masked(text)
