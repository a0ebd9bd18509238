"""What keeps an installation well: health, backup, doctor."""
