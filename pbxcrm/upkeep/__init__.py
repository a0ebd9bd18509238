"""Operation of an installation: health, backup, doctor, first run."""
