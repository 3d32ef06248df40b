"""What is to be done about each item: the lines of the plan."""
