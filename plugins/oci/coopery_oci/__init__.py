"""Coopery plugin `oci`."""
