"""What an item is about: its text, and the encoders that turn it into vectors."""
