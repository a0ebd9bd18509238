"""Notices outside of the pages: the daily digest by e-mail, and quiet hours."""
