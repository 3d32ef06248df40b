"""Claims and volumes: the facts about them, and what becomes of each."""
