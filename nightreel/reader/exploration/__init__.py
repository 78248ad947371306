"""Places of a list for items of which little is known."""
