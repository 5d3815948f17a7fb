"""Coopery plugin `debian`."""
