"""The commands, without any server."""
