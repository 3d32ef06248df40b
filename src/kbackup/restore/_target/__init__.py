"""What the target has and serves, what its answers mean, and in which version it takes what is stored."""
