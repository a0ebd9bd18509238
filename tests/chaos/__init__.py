"""Long runs in which everything is killed, stopped and cut off at random: ``make chaos``."""
