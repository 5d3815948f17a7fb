"""An image as a Luigi target: it is complete where the key is known and the image is there."""

import luigi

from coopery import Builder, Environment


class Image(luigi.Task):
    definition = luigi.Parameter()

    def complete(self) -> bool:
        with Builder() as builder:
            return builder.plan(Environment.load(self.definition)).image is not None

    def run(self) -> None:
        with Builder() as builder:
            builder.build(Environment.load(self.definition))
