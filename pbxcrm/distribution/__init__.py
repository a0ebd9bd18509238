"""Who gets a new deal that is nobody's yet: rules in order, turns, limits, and what was chosen and why."""
