"""Fields derived from an item's text, sound and pictures, each with its provenance."""
