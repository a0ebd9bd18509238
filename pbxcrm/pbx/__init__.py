"""What a PBX says of itself, and which listener may apply what it says."""
