"""Coopery's records and leases on a Redis server: ``Builder(cache="redis://host/0?namespace=team")``."""

__version__ = "0.1.0"
