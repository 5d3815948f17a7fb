"""Coopery plugin `podman`."""
