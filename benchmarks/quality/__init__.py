"""Comparison of recommendation quality with other libraries; see __main__."""
