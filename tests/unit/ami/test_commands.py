"""Nothing a browser sends reaches Asterisk as it is."""

import pytest

from ami.commands import Dialling, build
from ami.errors import UnsafeValue
from pbxcrm.people.rules import check_extensions
from pbxcrm.shared.errors import Invalid

HOW = Dialling(channel="Local/{extension}@from-internal", context="crm-dial")
CALL_ID = "0b0f9d1e-3b50-4a1f-9d3c-0123456789ab"
CALL = {"extension": "101", "number": "+380671234567", "call_id": CALL_ID}


def test_click_to_call_rings_the_seller_first_and_shows_the_client() -> None:
    assert build("originate", HOW, CALL) == {
        "Action": "Originate",
        "Channel": "Local/101@from-internal",
        "Context": "crm-dial",
        "Exten": "+380671234567",
        "Priority": "1",
        "CallerID": '"+380671234567" <+380671234567>',
        "Timeout": "25000",
        "ChannelId": f"crm-{CALL_ID}",
        "OtherChannelId": f"crm-{CALL_ID}-2",
        "Async": "true",
    }


@pytest.mark.parametrize("extension", ["7", "101", "sip-101", "olena.k", "Front_desk", "1" * 32])
def test_rings_every_extension_that_may_be_somebodys(extension: str) -> None:
    assert check_extensions([extension]) == [extension]
    assert build("originate", HOW, {**CALL, "extension": extension})["Channel"] == f"Local/{extension}@from-internal"


@pytest.mark.parametrize(
    "extension",
    [
        "*98",
        "#1",
        "_1XX",
        "-101",
        ".",
        "101@evil",
        "101/n",
        "101&102",
        "101,1",
        "101;2",
        "1 01",
        "1\r\nX: y",
        "１",
        "1" * 33,
    ],
)
def test_an_extension_that_must_not_be_rung_can_be_nobodys(extension: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_extensions([extension])
    assert refused.value.field == "extensions"
    with pytest.raises(UnsafeValue):
        build("originate", HOW, {**CALL, "extension": extension})


def test_transfers_and_hang_up() -> None:
    phone = {"channel": "PJSIP/101-0000002a", "number": "103"}
    blind = {"Action": "BlindTransfer", "Channel": "PJSIP/101-0000002a", "Context": "crm-dial", "Exten": "103"}
    assert build("transfer", HOW, phone) == blind
    assert build("attended_transfer", HOW, phone) == {**blind, "Action": "Atxfer"}
    assert build("hangup", HOW, {"channel": "1795279567.69"}) == {
        "Action": "Hangup",
        "Channel": "1795279567.69",
        "Cause": "16",
    }


@pytest.mark.parametrize(
    "channel", ["Local/101@a-00000003;1", "crm-" + CALL_ID, "pbx1-1795279567.69", "DAHDI/i1/380-1"]
)
def test_takes_channels_as_asterisk_names_them(channel: str) -> None:
    assert build("hangup", HOW, {"channel": channel})["Channel"] == channel


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("originate", {**CALL, "number": "123\r\nAction: Command"}),
        ("originate", {**CALL, "number": "101@other-context"}),
        ("originate", {**CALL, "number": "1" * 33}),
        ("originate", {**CALL, "number": ""}),
        ("originate", {**CALL, "number": "123\n"}),
        ("originate", {**CALL, "number": "١٢٣"}),
        ("originate", {**CALL, "extension": "101@evil/n"}),
        ("originate", {**CALL, "extension": "101&PJSIP/102"}),
        ("originate", {**CALL, "call_id": "x"}),
        ("originate", {**CALL, "call_id": CALL_ID + "\n"}),
        ("originate", {**CALL, "Application": "System"}),
        ("originate", {"extension": "101", "number": "1"}),
        ("hangup", {"channel": "/^PJSIP/"}),  # Hangup takes this for a pattern over all channels
        ("hangup", {"channel": "PJSIP/101-1\r\nAction: Originate"}),
        ("hangup", {"channel": ""}),
        ("transfer", {"channel": "PJSIP/101-1", "number": "s,1,System"}),
        ("command", {"channel": "PJSIP/101-1"}),
        ("__init__", {}),
    ],
)
def test_refuses_what_it_does_not_know(kind: str, params: dict[str, str]) -> None:
    with pytest.raises(UnsafeValue):
        build(kind, HOW, params)


@pytest.mark.parametrize(
    "settings",
    [{"channel": "PJSIP/101"}, {"channel": "PJSIP/{extension}\r\n"}, {"channel": "{0.__class__}"}, {"context": "a,b"}],
)
def test_settings_are_looked_at_too(settings: dict[str, str]) -> None:
    with pytest.raises(UnsafeValue):
        Dialling(**settings)
