"""What is kept of what people and telephones write."""

import pytest

from pbxcrm.shared.texts import one_line


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("  Olena \t Koval\n", "Olena Koval"),
        ("abc\u202e)fdp.exe", "abc)fdp.exe"),  # the mark turns the text around
        ("\u200b\u200b", ""),
        ("\u200d", ""),
        ("\u00ad \ufeff", ""),
        ("Anna\x00\x07", "Anna"),
        ("👩\u200d🔧 service", "👩\u200d🔧 service"),
        ("Олена'«Ї»", "Олена'«Ї»"),
    ],
)
def test_one_line(written: str, kept: str) -> None:
    assert one_line(written) == kept
