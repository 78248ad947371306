"""Quality with peers side by side: see __main__."""
