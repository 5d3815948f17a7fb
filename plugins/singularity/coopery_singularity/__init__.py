"""Coopery plugin `singularity`."""
