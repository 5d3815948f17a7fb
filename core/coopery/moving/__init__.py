"""Images, records and packages from one cache to another: stores, cache folders, bundles of one file."""
