"""Commands of hooks in the Pods that a restore made."""
