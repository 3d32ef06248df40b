"""Claims and volumes: which disk a claim gets, and what is lost."""
