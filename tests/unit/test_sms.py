"""How many SMS a text needs, to which number it goes, what a gateway is asked and how its answer is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from pbxcrm.messages.gateway_presets import PRESETS
from pbxcrm.messages.gateway_rules import SmsValues, at, hide_secret, read_answer, request_of
from pbxcrm.messages.models import SmsGateway
from pbxcrm.messages.sms_rules import SmsSize, number_for_sms, size_of, takes_sms, tidy
from pbxcrm.shared.refusals import NotSent

HOSTILE = 'A"}\\,\n{secret}<x>&b=1 „так“ 🙂'
SMS = SmsValues("+380671112233", HOSTILE, 7, "m.1")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", SmsSize(1, 0, 160, is_unicode=False)),
        ("a" * 160, SmsSize(1, 160, 0, is_unicode=False)),
        ("a" * 161, SmsSize(2, 161, 145, is_unicode=False)),
        ("a" * 306, SmsSize(2, 306, 0, is_unicode=False)),
        ("€" * 80, SmsSize(1, 160, 0, is_unicode=False)),
        (
            "a" * 152 + "€" + "a" * 8,
            SmsSize(2, 162, 143, is_unicode=False),
        ),  # an escape and its letter are never parted
        ("ї" * 70, SmsSize(1, 70, 0, is_unicode=True)),
        ("ї" * 71, SmsSize(2, 71, 63, is_unicode=True)),
        ("ї" * 66 + "🙂" + "ї" * 4, SmsSize(2, 72, 61, is_unicode=True)),  # nor the halves of a sign beyond 16 bits
        ("`", SmsSize(1, 1, 69, is_unicode=True)),
    ],
)
def test_parts_are_counted_as_networks_do(text: str, size: SmsSize) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize(
    ("numbers", "chosen"),
    [
        ([("+380442001020", ""), ("+380671112233", "")], "+380671112233"),
        ([("+380671112233", ""), ("+12025550123", "mobile")], "+12025550123"),
        ([("+12025550123", ""), ("+380501112233", "")], "+380501112233"),
        ([("+12025550123", "")], "+12025550123"),
        ([("+380442001020", "")], ""),  # a number of a fixed network
        ([("101", ""), ("0800", "")], ""),
        ([], ""),
    ],
)
def test_a_mobile_number_comes_first_and_a_fixed_one_never(numbers: list[tuple[str, str]], chosen: str) -> None:
    assert number_for_sms(numbers) == chosen


def test_what_is_no_whole_number_takes_no_sms() -> None:
    assert takes_sms("+380671112233")
    for other in ("380671112233", "+38067", "+38067111223\n", "+٣٨٠٦٧١١١٢٢٣٣", "sip:101@x"):
        assert not takes_sms(other), other


def gateway(**of: Any) -> SmsGateway:
    asked = {"address": "https://sms.example/", "method": "POST", "body_format": "json", "secret": "k+/="}
    return SmsGateway(**asked | of)


def test_values_are_written_as_their_place_wants_it_and_never_read_again() -> None:
    asked = request_of(
        gateway(
            body='{"to": "{number}", "text": "{text}", "id": {id}}', headers="X-Key: {secret}\ncontent-type: text/json"
        ),
        SMS,
    )
    assert json.loads(asked.body) == {"to": "+380671112233", "text": HOSTILE, "id": 7}
    assert asked.headers == {
        "User-Agent": "pbxcrm",
        "Idempotency-Key": "m.1",
        "Content-Type": "text/json",
        "X-Key": "k+/=",
    }
    form = request_of(gateway(body_format="form", body="to={digits}&text={text}"), SMS)
    assert form.body.startswith(b"to=380671112233&text=A%22%7D%5C%2C%0A%7Bsecret%7D%3Cx%3E%26b%3D1+")
    xml = request_of(gateway(body_format="xml", body='<m to="{number}">{text}</m>'), SMS)
    assert "A&quot;}\\,\n{secret}&lt;x&gt;&amp;b=1" in xml.body.decode()
    got = request_of(gateway(method="GET", address="https://sms.example/?k={secret}&t={text}"), SMS)
    assert got.address.startswith("https://sms.example/?k=k%2B%2F%3D&t=A%22%7D%5C%2C%0A%7Bsecret%7D")
    assert (got.body, "Content-Type" in got.headers) == (b"", False)


def test_a_signature_is_made_of_the_body() -> None:
    one = request_of(gateway(body='"{text}"', headers="X-Sign: {signature}"), SMS)
    other = request_of(gateway(body='"{text} "', headers="X-Sign: {signature}"), SMS)
    assert len(one.headers["X-Sign"]) == 64
    assert one.headers["X-Sign"] != other.headers["X-Sign"]


BY_JSON = {"taken_path": "data.0.id", "error_path": "data.0.error, error"}


@pytest.mark.parametrize(
    ("of", "status", "text", "said", "final", "unsure"),
    [
        (BY_JSON, 200, '{"data": [{"id": 5}]}', "200 5", None, None),
        (BY_JSON, 200, '{"data": [{"error": "No such sender"}]}', "200 No such sender", True, False),
        (BY_JSON, 200, '{"error": "Access denied"}', "200 Access denied", True, False),
        (BY_JSON, 200, '{"data": []}', '200 {"data": []}', False, True),  # it does not say
        (BY_JSON, 200, "<html>Welcome</html>", "200 <html>Welcome</html>", False, True),
        (BY_JSON, 200, "[" * 100_000, None, False, True),
        (BY_JSON, 400, '{"error": "Bad number"}', "400 Bad number", True, False),
        (BY_JSON, 429, "", "429", False, False),
        (BY_JSON, 503, "", "503", False, False),
        (BY_JSON, 500, "", "500", False, True),  # it broke: before or behind the message
        (BY_JSON, 504, "", "504", False, True),
        ({"taken_words": "OK"}, 200, "OK 12", "200 OK 12", None, None),
        ({"taken_words": "OK"}, 200, "ERROR 2905", "200 ERROR 2905", True, False),
        ({"taken_words": "OK"}, 200, "", "200", False, True),
        ({}, 202, "", "202", None, None),
    ],
)  # fmt: skip
def test_an_answer_says_taken_refused_or_nothing(
    of: dict[str, str], status: int, text: str, said: str | None, *, final: bool | None, unsure: bool | None
) -> None:
    if final is None:
        assert read_answer(gateway(**of), status, text) == said
        return
    with pytest.raises(NotSent) as refused:
        read_answer(gateway(**of), status, text)
    assert said is None or str(refused.value) == said
    assert (refused.value.is_final, refused.value.is_unsure) == (final, unsure)


def test_a_redirect_is_said_and_a_secret_is_hidden() -> None:
    with pytest.raises(NotSent, match="redirects are not followed") as moved:
        read_answer(gateway(), 302, "", "https://sms.example/?k=k%2B%2F%3D")
    assert hide_secret(str(moved.value), "k+/=").endswith("?k=•••")
    assert hide_secret("nothing", "") == "nothing"


@pytest.mark.parametrize(
    ("code", "place", "taken", "refused"),
    [
        (
            "turbosms",
            "sms.text",
            {"response_status": "OK", "response_result": [{"message_id": "f83f", "response_status": "OK"}]},
            {"response_status": "REQUIRED_TOKEN", "response_result": None},
        ),
        (
            "alphasms",
            "data.0.sms_message",
            {"success": True, "data": [{"success": True, "data": {"id": 7, "msg_id": "f83f", "parts": 1}}]},
            {"success": True, "data": [{"success": False, "error": "REQUIRED_TOKEN", "data": {"id": 7}}]},
        ),
    ],
)
def test_the_known_gateways_are_asked_and_read(
    code: str, place: str, taken: dict[str, object], refused: dict[str, object]
) -> None:
    draft = PRESETS[code][1]
    row = gateway(headers=draft.headers, body=draft.body, taken_path=draft.taken_path, error_path=draft.error_path)
    assert at(json.loads(request_of(row, SMS).body), place) == HOSTILE
    assert read_answer(row, 200, json.dumps(taken)) == "200 f83f"
    with pytest.raises(NotSent, match="REQUIRED_TOKEN") as error:
        read_answer(row, 200, json.dumps(refused))
    assert error.value.is_final


def test_the_documentation_has_what_the_form_is_filled_with() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sms.md").read_text()
    for name, draft in PRESETS.values():
        for value in (name, draft.address, draft.headers, draft.body, draft.taken_path, draft.error_path):
            assert value in page, (name, value)


def test_blanks_of_empty_fields_cost_nothing() -> None:
    assert tidy("We call again.   \n Dah \t  +380 ") == "We call again.\nDah +380"
