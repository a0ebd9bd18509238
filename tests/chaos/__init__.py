"""Long runs in which every part is killed, stopped and disconnected at random: ``make chaos``."""
