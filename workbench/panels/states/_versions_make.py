"""The form that makes a release of installed models by hand, the first one above all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from workbench.errors import ReleaseError
from workbench.panels.states._data_form import Fields, FormState, words_of
from workbench.panels.states._versions_part import connected

if TYPE_CHECKING:
    from workbench.releases import Release

PLAIN = ("primary", "fallback", "embedding")  # roles that have a field of their own


def wrong_role(text: str) -> str:
    """Why this cannot be a role; empty where it can."""
    from workbench.releases import check_role

    try:
        check_role(text)
    except ReleaseError as error:
        return str(error)
    return ""


class MakeReleaseState(FormState):
    """The form that makes a release of what is installed, without gates. Roles that stay empty
    are left out."""

    fields: ClassVar[Fields] = {
        "primary": "", "fallback": "", "embedding": "", "others": "", "version": "", "purpose": "",
        "reason": "",
    }  # fmt: skip

    _offered = False

    @property
    def jobs(self) -> Any:
        """Those of the page."""
        return self.source.jobs

    @property
    def panel(self) -> Any:
        """The panel's state."""
        return self.source.source

    @property
    def writers(self) -> list[tuple[str, str]]:
        """Models that answer, twice."""
        return [(one.name, one.name) for one in self.panel.engine.writers]

    @property
    def embedders(self) -> list[tuple[str, str]]:
        """Models that make vectors, twice."""
        there = self.panel.engine.models
        return [(one.name, one.name) for one in there if "embedding" in one.capabilities]

    def choices(self, role: str) -> list[tuple[str, str]]:
        """Models that the role could have; one that is chosen and not here any more stands last."""
        there = self.embedders if role == "embedding" else self.writers
        chosen = self.text(role)
        none = [] if role == "primary" else [("", "none" if there else "no such model here")]
        gone = [(chosen, f"{chosen} (not here)")] if chosen not in ("", *dict(there)) else []
        return [*none, *there, *gone]

    @property
    def roles(self) -> dict[str, str]:
        """Role to model."""
        there = [name for name, _ in self.writers]
        first = {"primary": self.text("primary") or next(iter(there), "")}
        named = {role: self.text(role) for role in PLAIN[1:]}
        pairs = [word.partition("=") for word in words_of(self.text("others"))]
        others = {role: model for role, _, model in pairs}
        return {role: model for role, model in (first | named | others).items() if model}

    @property
    def missing(self) -> str:
        return "" if self.roles.get("primary") else "A model is needed first."

    def check(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for word in words_of(self.text("others")):
            role, _, model = word.partition("=")
            wrong = "Write such as domain:health=MODEL or task:code=MODEL."
            if words := wrong_role(role) if model else wrong:
                found["others"] = words
        there = {one.name for one in self.panel.engine.models}
        for role, model in self.roles.items():
            if not {model, f"{model}:latest"} & there:
                found.setdefault(role if role in PLAIN else "others", f"{model} is not installed.")
        version = self.text("version")
        if any(one.version == version for one in self.panel.releases):
            found["version"] = f"There is a release {version} already."
        return found

    @property
    def code(self) -> str:
        if self.missing or self.problems:
            return ""
        said = "".join(f", {k}={self.text(k)!r}" for k in ("purpose", "reason") if self.text(k))
        return (
            "from workbench import connect\nfrom workbench.releases import describe, make\n"
            "from workbench.versions import use\n\n"
            f"with connect() as engine:\n    members = describe(engine, {self.roles!r})\n"
            f"made = make({self.text('version')!r}, members{said}, switch=False)\n"
            "use(made.version)\n"
        )

    async def start(self, name: str = "", value: str = "") -> None:
        """Make it; it is in use at once."""
        if name in self.texts:
            self.texts = {**self.texts, name: value}
        await self.look()
        if not self.ready:
            return
        self.busy = True
        try:
            made = await self.do(self._make)
        finally:
            self.busy = False
        if made is not None:
            self.texts = {**self.fields}
            await self.source.used_now(made.version)

    async def look(self) -> None:
        """Offer a model that makes vectors, once; then check the form as it is."""
        if not self._offered and self.embedders:
            self._offered = True
            if self.panel.used is None and not self.text("embedding"):
                self.texts = {**self.texts, "embedding": self.embedders[0][0]}
        await super().look()

    def _make(self) -> Release:
        from workbench import releases, versions

        purpose, reason = self.text("purpose"), self.text("reason")
        with connected(self.panel.engine.url) as engine:
            members = releases.describe(engine, self.roles)
            made = releases.make(
                self.text("version"), members, purpose=purpose, reason=reason, switch=False
            )
            return versions.use(made.version, reason or purpose or "It was made.", engine=engine)

    def like(self, release: Release | None) -> None:
        """The roles of this release, to begin another one."""
        roles = {one.role: one.model for one in release.members} if release else {}
        others = [f"{role}={model}" for role, model in roles.items() if role not in PLAIN]
        plain = {role: roles.get(role, "") for role in PLAIN}
        self.texts = {**self.fields, **plain, "others": ", ".join(others)}
