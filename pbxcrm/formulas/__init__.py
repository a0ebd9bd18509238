"""Formulas that people write over named fields: read, checked and evaluated. Pure: no database, no clock of its own."""
