"""The address of a PBX as people write it."""

import pytest

from ami.errors import BadAmiUrl
from ami.url import AmiUrl


def test_reads_an_address() -> None:
    assert AmiUrl.parse("ami://crm:p%40ss%2Fw%25@pbx.lan:5039") == AmiUrl("pbx.lan", 5039, "crm", "p@ss/w%")
    assert AmiUrl.parse("ami://crm:x@10.0.0.1").port == 5038
    assert AmiUrl.parse("ami://crm:x@[::1]:5038").host == "::1"
    assert AmiUrl.parse("amis://crm:x@pbx").tls


def test_shows_itself_without_the_secret() -> None:
    url = AmiUrl.parse("ami://crm:topsecret@[::1]")
    assert str(url) == "ami://crm@[::1]:5038"
    assert "topsecret" not in repr(url)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begin with"),
        ("http://crm:topsecret@pbx", "begin with"),
        ("pbx:5038", "begin with"),
        ("ami://pbx:5038", "user or the secret"),
        ("ami://crm@pbx", "user or the secret"),
        ("ami://crm:topsecret@:5038", "host"),
        ("ami://crm:topsecret@pbx:99999", "port"),
        ("ami://crm:topsecret@pbx:abc", "port"),
        ("ami://crm:topsecret@[::1", "understood"),
        ("ami://crm:topsecret%0d%0aAction%3A+Command@pbx", "control"),
        ("ami://crm:topsecret%ff@pbx", "UTF-8"),
        ("ami://crm:top/secret@pbx", "%2F"),
        ("ami://crm:topsecret@pbx/path", "follows"),
    ],
)
def test_says_what_is_wrong_without_the_secret(text: str, why: str) -> None:
    with pytest.raises(BadAmiUrl) as caught:
        AmiUrl.parse(text)
    assert why in caught.value.params["why"]
    assert "topsecret" not in str(caught.value)
    assert "ami://user:secret@host:5038" in str(caught.value)
