"""What is made of a study: a model of the point that is looked at, its settings, a report."""

from __future__ import annotations

from collections.abc import Callable

from traitlets import Any as AnyTrait
from traitlets import Bool, Unicode

from workbench.panels.states._doing import DoingState
from workbench.panels.states._train_settings import wrong_name


class MakeState(DoingState):
    """`name` is what the new model is called, as typed; `written` is the export of this `form`."""

    actions = frozenset({"name_it", "apply", "write_out", "tell"})
    study = AnyTrait(None, allow_none=True)  # the state of the study
    name = Unicode("")
    replacing = Unicode("")  # the name that is there already, which a second click replaces
    applied = Unicode("")  # the model that was made last
    form = Unicode("")
    written = Unicode("")
    busy = Bool(False)

    def begin(self, name: str = "") -> None:
        """For another point."""
        self.name, self.replacing, self.applied, self.problem = name, "", "", ""
        self.form = self.written = ""

    @property
    def suggestion(self) -> str:
        """A name for the point's model."""
        study = self.study.study
        return f"{study.model.partition(':')[0]}:tuned" if study else ""

    @property
    def wrong_name(self) -> str:
        """Why the new model cannot be called so; empty where it can."""
        return wrong_name(self.name) if self.name else ""

    def name_it(self, value: str) -> None:
        """What the new model is to be called."""
        self.name, self.replacing, self.problem = value.strip(), "", ""

    async def apply(self, replace: str = "") -> None:
        """Make a model of the point; one that is there is replaced by a second click only."""
        from workbench import tune

        study, picked, name = self.study.study, self.study.picked, self.name or self.suggestion
        if picked is None or self.wrong_name or self.busy:
            return
        source = self.study.source
        if source.has(name) and not (replace and replace == self.replacing == name):
            self.replacing = name
            return
        number, replacing = picked.number, bool(self.replacing)
        self.busy, self.replacing = True, ""
        try:
            made = await self.do(lambda: tune.apply(study, number, name, replace=replacing))
        finally:
            self.busy = False
        if made:
            self.applied = made
            await source.engine.refresh()
            await self.study.look()

    async def write_out(self, value: str) -> None:
        """The point's settings in this form; the same one again hides them."""
        from workbench import tune

        study, picked = self.study.study, self.study.picked
        if picked is not None:
            await self._write(value, lambda: tune.export(study, picked.number, form=value))

    async def tell(self, value: str) -> None:
        """The whole study as a page, a text or a table."""
        from workbench import tune

        study = self.study.study
        writers = {
            "html": lambda: tune.report_html(study, plots=()),
            "markdown": lambda: tune.report_markdown(study),
            "csv": lambda: tune.report_csv(study),
        }
        if value in writers:
            await self._write(value, writers[value])

    async def _write(self, form: str, work: Callable[[], str]) -> None:
        again = self.form == form
        self.form, self.written = ("" if again else form), ""
        if not again:
            self.busy = True
            try:
                self.written = await self.do(work) or ""
            finally:
                self.busy = False
