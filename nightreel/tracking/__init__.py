"""Recording runs in MLflow: the facts of a run, an outbox that stores them, and the process that sends them.

Only `sender` imports MLflow, in a process of its own that `delivery` starts: the import takes seconds, and a failing or
hanging MLflow must not affect the run.
"""
