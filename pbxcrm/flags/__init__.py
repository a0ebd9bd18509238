"""Flags: quality control or a manager flags a deal or call; the people concerned answer what was done about it."""
