"""What a builder does with images that there are: run them, hand them on, fetch them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery import use
from coopery.building.parts import Parts
from coopery.definition import Environment
from coopery.errors import NotFound
from coopery.platform import DEFAULT as DEFAULT_PLATFORM

if TYPE_CHECKING:
    from coopery.backend import Placed
    from coopery.image import Image
    from coopery.place import RunRequest


class Images(Parts):
    """Methods of `coopery.build.Builder` on images: run, look into, write elsewhere, push and pull."""

    def run(self, ref: Environment | str, request: RunRequest) -> int:
        """Run a process in the image of *ref*; a definition that has none is built first.

        Returns:
            The exit status of the process; 128 + n when signal n ended it.

        Raises:
            NotFound: *ref* is a key, or a pulled image's reference, and the image is not here.
        """
        from coopery.engines.running import run

        return run(self.whole, ref, request)

    def debug(self, ref: Environment | str, request: RunRequest) -> int:
        """Run a process on the snapshot below the step that failed last; nothing of it is kept.

        Args:
            ref: a definition or key whose newest build failed in a step.
            request: what to run; without an argv, a shell.

        Returns:
            The exit status, as `run`.

        Raises:
            NotFound: no step of it failed, or the snapshot is no longer kept.
        """
        from coopery.engines.running import debug

        return debug(self.whole, self.whole.key(ref) if isinstance(ref, Environment) else ref, request)

    def export(self, image: Image, to: str) -> str:
        """Write *image* elsewhere.

        Args:
            image: one that this builder returned.
            to: ``oci:FOLDER[:TAG]``, ``oci-archive:FILE[:TAG]`` or ``docker-archive:FILE[:TAG]``; or, to build it with
                other tools, ``dockerfile:FOLDER``, ``apptainer:FILE`` or ``devcontainer:FOLDER``; or what an installed
                backend writes: ``sif:FILE``, ``squashfs:FILE``.

        Returns:
            The reference to give to other tools; for those that build, the path to give to them.

        Raises:
            UsageError: another form.
            CacheError: the disk failed; nothing half-written stays.
        """
        from coopery.exporting import export

        with use.working(self.home.root):
            return export(self.whole, image, to)

    def push(self, ref: Image | Environment | str, to: str, *, compression: str | None = None) -> Placed:
        """Put an image into a registry, layers compressed; only what the registry lacks is sent, the tag moves last.

        Args:
            ref: an image, a definition (built first, once the right to push is checked), or what `image` takes.
            to: ``HOST[:PORT]/REPOSITORY[:TAG]``; the tag is taken from the key unless given.
            compression: ``gzip`` or ``zstd``; the settings' unless given.

        Returns:
            Where it is now; ``digest`` is the registry's, which depends on the compression. The image id does not.

        Raises:
            UsageError: *to* is no reference that can be pushed to.
            NetworkError: the registry cannot be reached, or refuses.
            BuildError, CacheError: the image could not be built, or is damaged here.
        """
        from coopery import pushing

        if isinstance(ref, Environment):
            pushing.check(self.whole, to)
            ref = self.whole.build(ref)
        with use.working(self.home.root):
            return pushing.push(self.whole, self.image(ref) if isinstance(ref, str) else ref, to, compression)

    def check_push(self, to: str) -> None:
        """See that images can be pushed to *to* now; nothing is sent.

        Raises:
            UsageError: *to* is no reference that can be pushed to.
            NetworkError: the registry cannot be reached, or refuses.
        """
        from coopery import pushing

        pushing.check(self.whole, to)

    def pull(self, reference: str, platform: str = DEFAULT_PLATFORM) -> Image:
        """Bring an image from a registry into the cache folder's layout; what is here already does not travel.

        Args:
            reference: ``HOST[:PORT]/REPOSITORY[:TAG]`` or ``…@sha256:…``; without a host, Docker Hub's.
            platform: of an image for several.

        Returns:
            The image, with an empty key: what it was made from is not known.

        Raises:
            NetworkError, BaseError: it cannot be had, or not for *platform*.
            IntegrityError: bytes are not what they should be.
        """
        from coopery import pulling

        self.must_write("pull", "set COOPERY_HOME to a folder of yours: images are pulled into that")
        with use.working(self.home.root):
            return pulling.pull(self.whole, reference, platform)

    def image(self, ref: str) -> Image:
        """An image that is here: by its key or the first digits of one, or by the reference that `pull` returned.

        Raises:
            NotFound: it is not here.
        """
        if ref.startswith("oci:"):
            from coopery import pulling

            return pulling.find(self.whole, ref)
        return self._image_of(ref)

    def _image_of(self, ref: str) -> Image:
        key = self.whole.find(ref)
        image = self.ledger.look(key)
        if image is None:
            from coopery.engines.elsewhere import image_of

            image = image_of(self.whole, key)
        if image is None:
            raise NotFound(f"the image of key {key} is not in {self.place.name}", remedy="build its definition again")
        return image
