"""Names: what an image is called at the target of a mirror.

Without more said, as a node with ``system-default-registry`` looks for it:
``docker.io/rancher/x`` is ``TARGET/rancher/x``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rke2pack.errors import ConfigError
from rke2pack.oci.reference import Reference

_MAP_HINT = "write it as rancher/=team/rancher/ or rancher/shell=tools/shell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One ``--map``: a path (or one repository) below ``registry``, or of every registry.

    ``old`` and ``new`` end with a slash, or neither does; ``new`` may be empty
    for a path.
    """

    registry: str
    old: str
    new: str

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Parse ``[HOST/]OLD=NEW``; raises ConfigError."""
        old, equals, new = text.partition("=")
        first, slash, path = old.partition("/")
        has_host = bool(slash) and (first == "localhost" or any(c in first for c in ".:"))
        rule = cls(registry=first if has_host else "", old=path if has_host else old, new=new)
        sample = rule.new + "x" if rule.is_path else rule.new
        fits = not rule.new or rule.new.endswith("/") if rule.is_path else bool(rule.new)
        is_good = bool(equals and fits and (rule.old or has_host))
        if not is_good or not _is_repository(sample) or not _is_repository(f"{rule.old}x"):
            msg = f"--map {text[:200]}: not a pair of paths or repositories"
            raise ConfigError(msg, hint=_MAP_HINT)
        return rule

    @property
    def is_path(self) -> bool:
        """Whether this is for everything below a path."""
        return not self.old or self.old.endswith("/")

    def fits(self, reference: Reference) -> bool:
        """Whether the rule is for this image."""
        if self.registry not in {"", reference.registry}:
            return False
        return (
            reference.repository.startswith(self.old)
            if self.is_path
            else reference.repository == self.old
        )

    def apply(self, repository: str) -> str:
        """Return the repository's path below the target."""
        return self.new + repository[len(self.old) :]

    @property
    def weight(self) -> tuple[bool, int, bool]:
        """How specific the rule is: a repository, a longer path, a named registry."""
        return not self.is_path, len(self.old), bool(self.registry)

    def overlaps(self, other: Rule) -> bool:
        """Whether an image can fit both."""
        both = "" in {self.registry, other.registry} or self.registry == other.registry
        short, long = sorted((self, other), key=lambda rule: len(rule.old))
        return both and (
            (short.is_path and long.old.startswith(short.old)) or short.old == long.old
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How sources are called at ``host``: below ``prefix`` (empty, or with its slash)."""

    host: str
    prefix: str = ""
    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(cls, target: str, maps: Iterable[str] = ()) -> Rules:
        """Parse ``HOST[:PORT][/PREFIX]`` and the texts of ``--map``; raises ConfigError."""
        host, _, prefix = target.rstrip("/").partition("/")
        try:
            sample = Reference.parse(f"{host}/{prefix or 'x'}/x")
        except ConfigError:
            sample = None
        if sample is None or sample.registry != host or sample.tag or "@" in target:
            msg = f"{target[:200]!r}: not a target"
            raise ConfigError(msg, hint="write it as HOST[:PORT][/PREFIX]")
        rules = tuple(map(Rule.parse, maps))
        keys = [(rule.registry, rule.old) for rule in rules]
        twice = next((rule for rule in rules if keys.count((rule.registry, rule.old)) > 1), None)
        if twice is not None:
            msg = f"--map {twice.old}: stands twice"
            raise ConfigError(msg, hint="leave one of them out")
        return cls(host=host, prefix=f"{prefix}/" if prefix else "", rules=rules)

    def target(self, source: Reference) -> Reference:
        """Return what ``source`` is called at the target; raises ConfigError for no name."""
        fitting = [rule for rule in self.rules if rule.fits(source)]
        best = max(fitting, key=lambda rule: rule.weight, default=None)
        path = best.apply(source.repository) if best else source.repository
        repository = f"{self.prefix}{path}"
        if not _is_repository(repository):
            msg = f"{source}: would be {repository!r} at {self.host}, which is no repository"
            raise ConfigError(msg, hint="change --map or the target's prefix")
        return replace(source, repository=repository).with_registry(self.host)

    def __str__(self) -> str:
        return f"{self.host}/{self.prefix}".rstrip("/")


def _is_repository(text: str) -> bool:
    """Whether this can be a repository's path; nothing is one too, for a rule that takes away."""
    try:
        return not text or Reference.parse(f"registry.example.com/{text}").repository == text
    except ConfigError:
        return False
