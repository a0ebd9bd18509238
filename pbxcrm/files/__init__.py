"""Files that people attach to deals and tasks: the rows in the database, the bytes in the data directory under their hash."""
