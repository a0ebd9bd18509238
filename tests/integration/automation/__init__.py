"""Tests of rules: what they hear, what they do, and what is written down."""
