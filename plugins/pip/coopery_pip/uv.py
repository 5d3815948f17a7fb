"""uv in a child process: what it is asked, with what environment, and how its end is read.

It is told everything: the target's Python and platform, the sources, wheels only. It reads no configuration and no
credential store of the user, builds nothing, downloads no Python, and gets sources and their credentials by its
environment, which only its owner can read, never by its command line: some indexes have a token in their path.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from attrs import field, frozen

from coopery.errors import BuildError, PluginError
from coopery.redact import secrets_in
from coopery.tether import CANNOT_START, tethered
from coopery.wire.login import without_user
from coopery_pip.access import Access
from coopery_pip.machine import Machine
from coopery_pip.sources import Source

_SECONDS: Final = 1800
"""uv's own time for one request is far shorter; this ends one that would never."""

_UNSATISFIABLE: Final = 1
"""uv's exit status where no set of packages fits; other failures have 2 or more."""

_KEPT: Final = (
    "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "SYSTEMROOT",
)  # fmt: skip
"""What of this process's environment uv is given: how to reach the network, and nothing that could change a choice."""

_LEAD: Final = re.compile(r"^\s*(?:error:|cause:|×|╰─▶|├─▶|│)\s*", re.MULTILINE)
_FLAGS: Final = re.compile(r"^\s*hint:.*--(?:no-build|index-strategy|prerelease).*$", re.MULTILINE)


@frozen
class Question:
    """What uv is asked.

    Attributes:
        folder: private; holds the files below, and uv's temporary ones.
        requirements, constraints: lines of requirement files.
        sources: where wheels may come from.
        machine: what they must run on.
        pre: whether pre-releases may be chosen.
    """

    folder: Path
    requirements: Sequence[str]
    constraints: Sequence[str]
    sources: Sequence[Source]
    machine: Machine
    pre: bool = False

    @property
    def output(self) -> Path:
        """Where the answer is written. What stands there before is what uv stays with where it can."""
        return self.folder / "pylock.toml"


class Unsatisfiable(Exception):  # noqa: N818 - says the state; always turned into a ResolveError
    """No set of packages fits. ``explanation`` is uv's account."""

    def __init__(self, explanation: str) -> None:
        self.explanation = explanation
        super().__init__(explanation)


@frozen
class Uv:
    """Runs uv.

    Attributes:
        program: the binary.
        cache: folder for its cache.
        environment: variables over those that are kept: proxy and certificates from the settings.
    """

    program: str
    cache: Path
    environment: Mapping[str, str] = field(factory=dict, repr=False)

    def compile(self, question: Question, access: Access, environ: Mapping[str, str]) -> None:
        """Let uv write its answer to ``question.output``.

        Raises:
            Unsatisfiable: nothing fits.
            UvError: uv ended in another way.
        """
        _write(question)
        kept = {name: environ[name] for name in _KEPT if name in environ}
        variables = {**kept, **self.environment, **_variables(question, access)}
        argv = tethered([self.program, *arguments(question, _cache(question, self.cache))])
        try:
            done = subprocess.run(
                argv,
                env=variables,
                cwd=question.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise UvError(f"uv did not end within {_SECONDS} seconds") from exc
        except OSError as exc:
            raise _not_started(self.program, exc.strerror) from exc
        words = cleaned(done.stderr.decode("utf-8", "replace"), question.folder)
        if done.returncode == CANNOT_START:
            raise _not_started(self.program, words)
        if done.returncode == _UNSATISFIABLE:
            raise Unsatisfiable(words)
        if done.returncode != 0:
            raise UvError(words or f"uv ended with status {done.returncode}")


class UvError(BuildError):
    """uv failed for another reason than that nothing fits."""

    stage = "lock"


def _not_started(program: str, reason: str | None) -> PluginError:
    return PluginError(f"{program}: cannot be started: {reason}", remedy="pip install uv")


def find() -> str:
    """The uv that came with this package.

    Raises:
        PluginError: it is not installed.
    """
    import uv

    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError as exc:
        raise PluginError("uv, which resolves pip packages, is not installed", remedy="pip install uv") from exc


def arguments(question: Question, cache: Path) -> list[str]:
    """What follows the program's name. No source is among it, and so no credential. Pure."""
    machine = question.machine
    found = ["pip", "compile", "--no-config", "--quiet", "--no-progress", "--color=never", f"--cache-dir={cache}"]
    # This interpreter only runs uv's question what it is: version, platform and markers come from the two after it.
    found += [f"--python={sys.executable}", "--no-python-downloads", "--no-managed-python"]
    found += [f"--python-version={machine.python}", f"--python-platform={machine.uv_platform}"]
    found += ["--no-build", "--no-sources", "--keyring-provider=disabled", "--no-header", "--no-annotate"]
    # pip's rule, which requirement files are written for: every index counts, the best version wins.
    found += ["--index-strategy=unsafe-best-match"]
    found += ["--prerelease=allow"] if question.pre else []
    found += ["--format=pylock.toml", f"--output-file={question.output}"]
    found += [f"--constraints={question.folder / 'constraints.txt'}"] if question.constraints else []
    return [*found, "--", str(question.folder / "requirements.in")]


def _cache(question: Question, shared: Path) -> Path:
    """The folder for uv's cache. uv keeps URLs in it: where one has a token in it, the cache ends with the question."""
    tokens = any(secrets_in(without_user(source.url)) for source in question.sources)
    return question.folder / "cache" if tokens else shared


def _label(at: int) -> str:
    """The name that uv knows an index by: what its variables for credentials are called after."""
    return f"coopery{at}"


def _variables(question: Question, access: Access) -> dict[str, str]:
    found = {
        "HOME": str(question.folder),
        "TMPDIR": str(question.folder),
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_HTTP_RETRIES": "4",
        "NETRC": str(question.folder / "netrc"),  # none: what netrc says is looked up by us, for the sources' hosts
    }
    if links := [_with_user(source, access) for source in question.sources if source.kind == "links"]:
        found["UV_FIND_LINKS"] = ",".join(links)
    indexes = [source for source in question.sources if source.kind == "index"]
    found |= _named(indexes)
    for at, source in enumerate(indexes):
        if source.folder is None and (credential := access.find(source.url)) is not None:
            name = f"UV_INDEX_{_label(at).upper()}"
            found |= {f"{name}_USERNAME": credential.user, f"{name}_PASSWORD": credential.password}
    return found


def _named(indexes: Sequence[Source]) -> dict[str, str]:
    """The indexes, each by its label. The last is the main one."""
    words = [f"{_label(at)}={_word(without_user(index.url))}" for at, index in enumerate(indexes)]
    return {"UV_INDEX": " ".join(words[:-1]), "UV_DEFAULT_INDEX": words[-1]}


def _word(url: str) -> str:
    """*url* as one word: a blank would end it."""
    return "%20".join(url.split())


def _with_user(source: Source, access: Access) -> str:
    """The URL of a page of links, with credentials where it needs them: uv has no other way to be told of those."""
    parts = urlsplit(without_user(source.url).replace(",", "%2C"))
    credential = access.find(source.url) if source.folder is None else None
    if credential is None:
        return urlunsplit(parts)
    user, password = quote(credential.user, safe=""), quote(credential.password, safe="")
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc}"))


def _write(question: Question) -> None:
    for name, lines in (("requirements.in", question.requirements), ("constraints.txt", question.constraints)):
        (question.folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def cleaned(words: str, folder: Path) -> str:
    """The account of uv without its own decoration, flags that nobody here can set, and our folder."""
    words = _FLAGS.sub("", _LEAD.sub("", words)).replace(folder.as_uri(), "").replace(str(folder), "")
    return "\n".join(line.strip() for line in words.splitlines() if line.strip())
