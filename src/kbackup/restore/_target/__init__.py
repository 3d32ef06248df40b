"""What the target has and serves, in which versions, and what its answers mean."""
