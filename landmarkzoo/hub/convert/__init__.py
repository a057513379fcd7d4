"""Checkpoints of other code: how each layout becomes one of ours. One layout a file."""
