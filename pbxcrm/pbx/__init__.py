"""The state of each PBX, and which listener may apply its facts."""
