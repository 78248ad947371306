"""What is recorded of a night in MLflow: facts, an outbox that keeps them, and the process that hands them over.

`sender` alone runs MLflow, in a process of its own that `delivery` starts: the import takes seconds, and whatever
MLflow or its server does, hangs or prints can't touch the night.
"""
