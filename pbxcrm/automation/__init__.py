"""Rules: when something happens, if conditions hold, then steps follow; every firing is written down, with why."""
