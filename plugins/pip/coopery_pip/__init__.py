"""Coopery's pip materializer: requirements into a lock, wheels into layers. No package code runs on the host."""
