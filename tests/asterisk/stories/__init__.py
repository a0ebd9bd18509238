"""What happened, told as it was driven: each story moves real phones and says which calls a tracker must then report.

The expected calls follow from what the people in the story did, never from what Asterisk said of it.
"""
