"""The file of authorities for mail servers is read when the product starts."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pbxcrm.shared.settings import Settings


@pytest.mark.parametrize("name", ["empty.pem", "nothing.pem"])
def test_a_file_without_certificates_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    with pytest.raises(ValidationError, match="must be a file with certificates of authorities"):
        Settings(data_dir=tmp_path, mail_ca=tmp_path / name)
