"""Exploration that learns: what is known, and how surely, of how well each item is taken."""
