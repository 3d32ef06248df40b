"""What was asked for, resolved and checked against backup and target."""
