"""Keys of the suite for object stores that others have to know."""

LOCKED = "backups/locked/"
"""Below it lies what the suite locks, and may not be able to remove at once."""
