"""Engines as core sees them: what a definition needs of one, which one is taken, and how each of them is."""
