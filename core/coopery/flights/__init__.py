"""One build per key: who builds it, who is alive, which threads want the same, and which place is meant."""
