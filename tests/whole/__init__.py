"""Everything together: every process is started for real, and people's commands and a browser drive it."""
