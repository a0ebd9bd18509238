"""Tests; a package so that they can share ``tests.asterisk`` and the like."""
