"""Validation of bundled charts against the rows of the support matrix, without a cluster."""
