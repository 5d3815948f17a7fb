"""An example of a cache store: records and leases in PostgreSQL."""
