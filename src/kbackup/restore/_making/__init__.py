"""From a stored item to the object that would be written."""
