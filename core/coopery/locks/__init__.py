"""Locks: which one a build is held to, what is chosen under it, how a lock file is brought up to date and traded."""
