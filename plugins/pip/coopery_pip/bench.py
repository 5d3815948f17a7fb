"""What building a package needs of everything else, put together: sources, tools, the image, the wheels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from coopery.definition import Pip
from coopery.errors import ResolveError
from coopery.home import Home
from coopery.lock import Artifact
from coopery_pip.building import Building
from coopery_pip.builds import Builds
from coopery_pip.code import Codes
from coopery_pip.made import Memo
from coopery_pip.requirement import parse

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.materializer import Section
    from coopery.target import Resolved
    from coopery_pip.access import Access
    from coopery_pip.machine import Machine
    from coopery_pip.resolve import Resolver
    from coopery_pip.wheels import Step

Locate = Callable[[Artifact, "Access"], str]
"""Where the source of an artifact is now, by the index that has it."""


@frozen
class Bench:
    """Builds packages for one section.

    Attributes:
        workshop: lends folders.
        section: with the image.
        target: what wheels are for.
        interpreter: path in the image of the Python that builds.
        machine: the same for file names.
        resolver: finds tools, as wheels alone.
        locate: finds sources.
        fetch: brings tools.
        step: told of every piece that is fetched.
    """

    workshop: Workshop = field(repr=False)
    section: Section
    target: Resolved = field(repr=False)
    interpreter: str
    machine: Machine
    resolver: Resolver = field(repr=False)
    locate: Locate = field(repr=False)
    fetch: Callable[[Sequence[Artifact]], None] = field(repr=False)
    step: Step = field(repr=False)

    def builds(self, access: Access) -> Builds:
        """With credentials for the hosts of *access*.

        Raises:
            ResolveError: no image is being made that could build.
        """
        if self.section.inside is None:
            raise ResolveError("packages must be built from source, and no image is being made here")
        own = Home(self.workshop.home).own / "packages"
        building = Building(
            self.workshop,
            self.section.inside,
            self.target,
            self.interpreter,
            self.machine,
            self.resolver.wheels,
            self._tools,
            self.fetch,
            Memo(own / "pip-built", self.workshop.staging),
        )
        codes = Codes(
            own / "pip-sources", self.workshop.staging, self.resolver.http, self.workshop.settings, access, self.step
        )
        return Builds(codes, building, self.section.prefer, lambda one: self.locate(one, access))

    def _tools(self, requires: Sequence[str], before: Sequence[Artifact]) -> tuple[Artifact, ...]:
        """Exact wheels for what a build asks for: of the same indexes, apart from everything else in the image."""
        content: Pip = self.section.content
        own = Pip(
            requirements=tuple(sorted(set(requires))),
            index_url=content.index_url,
            extra_index_urls=content.extra_index_urls,
            find_links=content.find_links,
        )
        applying = [text for text in own.requirements if parse(text).applies(self.machine.markers)]
        if not applying:
            return ()
        try:
            return self.resolver.resolve(evolve(own, requirements=tuple(applying)), self.machine, (), before, self.step)
        except ResolveError as exc:
            message = f"what the build asks for cannot be had as wheels: {', '.join(applying)}\n{exc.message}"
            raise ResolveError(message, remedy=exc.remedy) from exc
