"""An item held against the object that has its place. Pure."""
