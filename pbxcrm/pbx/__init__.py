"""What a PBX says of itself."""
