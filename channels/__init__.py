"""Providers' words on one side, ours on the other: composing calls and classifying answers."""
