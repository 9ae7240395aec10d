"""The tests mirror the rooms, one folder a room; what they share is in `conftest` (fixtures) and `factories` (functions)."""
