"""Coopery plugin `docker`."""
