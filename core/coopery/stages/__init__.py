"""A miss, stage by stage: the base and the steps, the packages, what is built from source, the record."""
