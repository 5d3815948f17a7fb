"""Coopery plugin `conda`: packages solved and fetched with py-rattler, described as one tree each."""
