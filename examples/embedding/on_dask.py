"""Builds every definition that is named, on the workers of a Dask cluster."""

import sys

from distributed import Client

from coopery import Builder, Environment

if __name__ == "__main__":
    address, *files = sys.argv[1:]
    with Client(address) as client, Builder() as builder:  # COOPERY_CACHE names the store that all machines share
        for built in builder.build_many(map(Environment.load, files), client.get_executor()):
            print(built.environment.file, built.image.reference if built.image else built.error)
