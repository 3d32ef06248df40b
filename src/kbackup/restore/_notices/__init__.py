"""What a plan tells beside its lines."""
