"""Item content: its text, and the encoders that turn it into vectors."""
