"""Flags: quality control or a manager marks a deal or a call that somebody has to look at; whoever has to do with it says what was done."""
