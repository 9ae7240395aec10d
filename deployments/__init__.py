"""How runs start: people's acts, deployment by name, and the processes that keep everything running."""
