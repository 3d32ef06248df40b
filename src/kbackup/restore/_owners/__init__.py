"""Who owns what, in the backup and in the target."""
