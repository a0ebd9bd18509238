"""The kinds of steps. Each module is one kind: how it is checked, taken, foretold and taken back."""
