"""After a gap."""
