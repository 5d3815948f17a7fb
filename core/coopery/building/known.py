"""What a builder tells: of keys, records, logs, plugins, settings and the machine. Nothing is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from coopery import key as _key
from coopery.building import wanted
from coopery.building.parts import Parts
from coopery.definition import Environment
from coopery.errors import CooperyError, NotFound
from coopery.ledger import Details, only
from coopery.seal import seal

if TYPE_CHECKING:
    from coopery.engines.doctor import Diagnosis
    from coopery.plugins import PluginInfo
    from coopery.settings.report import Report
    from coopery.why import Difference


class Known(Parts):
    """Methods of `coopery.build.Builder` that only tell: what a definition is, and what is recorded of it."""

    def key(self, environment: Environment) -> str:
        """The key of *environment*: 64 hexadecimal digits. Needs no network and no backend."""
        return _key.compute(seal(environment))

    def identity(self, environment: Environment) -> dict[str, Any]:
        """Exactly what the key is computed from, as plain data."""
        return _key.identity(seal(environment))

    def why(self, first: Environment | str, second: Environment | str) -> tuple[Difference, ...]:
        """Which inputs make the key of *second* differ from that of *first*; empty when they are one key.

        Raises:
            NotFound, UsageError: a string that is no key known here, or several.
        """
        from coopery.why import differences

        return differences(self._identity_of(first), self._identity_of(second))

    def _identity_of(self, ref: Environment | str) -> dict[str, Any]:
        if isinstance(ref, Environment):
            return self.identity(ref)
        known = self.ledger.newest(self.find(ref))
        if known is None:
            raise NotFound(f"the record of {ref!r} is damaged", remedy="build its definition again")
        return dict(known.identity)

    def find(self, ref: str) -> str:
        """The one recorded key that begins with *ref*; NotFound or UsageError where there is none, or several."""
        return self.ledger.find(ref)

    def details(self, ref: Environment | str) -> Details:
        """What is recorded of a definition or key; nothing is built. NotFound when nothing is."""
        from coopery.engines.elsewhere import details

        if isinstance(ref, str):
            return details(self.whole, self.find(ref))
        order = wanted.order(self.whole, ref, local=True)
        return details(self.whole, order.key, order.under)

    def dockerfile(self, ref: Environment | str) -> str:
        """The equivalent Dockerfile of what was built, for people; `export` writes one with all that it needs.

        Raises:
            NotFound: nothing is recorded.
            UsageError: a variable or path cannot stand in a Dockerfile.
        """
        from coopery.export import told

        return told(self.whole, self.find(ref) if isinstance(ref, str) else self.details(ref).key)

    def list(self) -> tuple[Details, ...]:
        """Every key that is recorded, newest first."""
        from coopery.engines.elsewhere import listed

        return listed(self.whole)

    def log(self, ref: Environment | str) -> str:
        """The newest build log of a definition or key, whether that build succeeded or failed.

        Raises:
            NotFound: none was kept.
        """
        from coopery import keeping, logs

        key = self.key(ref) if isinstance(ref, Environment) else self._logged(ref)
        path = logs.newest(self.home.root, key)
        if path is None and (kept := keeping.log_of(self.whole, key)) is not None:
            return kept
        if path is None:
            raise NotFound(f"no log is kept for key {key}")
        return path.read_text(encoding="utf-8", errors="replace")

    def _logged(self, ref: str) -> str:
        """The one key that begins with *ref* of which a log is here; else one that a store may keep the log of."""
        from coopery import logs

        here = logs.keys(self.home.root, ref)
        return only(ref, here) if here or not self.cache.abilities.attachments else self.find(ref)

    def plugins(self) -> tuple[PluginInfo, ...]:
        """What is installed: backends, materializers, base sources, cache stores."""
        return self.plugins_loaded.infos()

    def settings_report(self) -> Report:
        """The settings, each with where it came from; hosts with a known login. No secret is in it.

        Raises:
            SettingsError, UsageError: the netrc file, or one of Docker's or Podman's, cannot be read.
        """
        from coopery.settings.report import report

        return evolve(report(self.settings), promise=self._promise())

    def _promise(self) -> str:
        """What the store promises in words; nothing of one that cannot be had, which those are told who use it."""
        try:
            return self.cache.abilities.promise
        except CooperyError:
            return ""

    def doctor(self) -> Diagnosis:
        """What works here and what does not, by trying: backends, their engines, the machine. Changes nothing."""
        from coopery.engines.doctor import diagnose

        return diagnose(self.whole)
