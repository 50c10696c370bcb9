"""Versions: which models we run, since when and why; updates with gates, and the way back.

`Versions()` in a cell shows the releases, `Versions(view="storage")` another view,
`Versions(update="…")` an update; `versions.state.used` is the release in use. The same without a
panel: `workbench.releases`, `workbench.versions`, `workbench.storage`, `workbench.domains`.
"""

from __future__ import annotations

from workbench.panels._base import Panel
from workbench.panels.states import VersionsState
from workbench.panels.states._versions_files import FilesState
from workbench.panels.states._versions_health import HealthState
from workbench.panels.states._versions_part import PartState
from workbench.panels.states._versions_storage import StorageState

_ALL = "view known used before releases switches moved leader opener engine.models engine.engine"
_FORM = ("texts", "picked", "problems", "busy", "problem")
_MAKE = " ".join(f"timeline.make.{name}" for name in _FORM)
_NEW = " ".join(f"flow.new.{name}" for name in (*_FORM, "plan", "suites", "more_roles"))
_FLOW = "view known used updates moved flow.id flow.focus"
_KIN = "view known used releases moved family.known engine.models engine.engine leader measurer"
_ALIAS = " ".join(f"family.alias.{name}" for name in (*_FORM, "gone"))
_BACK = "timeline.back timeline.why timeline.busy timeline.done timeline.problem timeline.returned"


def _all_of(name: str, kind: type[PartState]) -> str:
    """Everything that a view's state has to show."""
    own = sorted(one for one in kind.class_trait_names() if not one.startswith("_"))
    return " ".join(f"{name}.{one}" for one in own if one != "source")


_SEEN = "view moved used opener jobs.jobs jobs.opened jobs.log engine.models engine.engine"


class Versions(Panel):
    """All of what we run: releases, updates, models, Modelfiles, storage, health."""

    name = "versions"
    title = "Versions"
    make_state = VersionsState
    keywords = ("view", "update")
    every = 1.0  # seconds: an update is watched here while it goes
    columns = (
        (
            ("versions_top", "view releases updates problem"),
            ("versions_releases", f"{_ALL} {_BACK} {_MAKE} timeline.measured problem"),
            ("versions_releases_timeline", f"{_ALL} {_BACK} timeline.chosen timeline.against "
                                           "timeline.difference"),
            ("versions_releases_file", f"{_ALL} {_BACK} {_MAKE} timeline.form timeline.written "
                                       "timeline.path timeline.filed timeline.wrong_file "
                                       "timeline.making"),
            ("versions_update", f"{_FLOW} {_NEW} releases problem leader engine.models "
                                "engine.engine"),
            ("versions_update_steps", f"{_FLOW} flow.update flow.job flow.undoing flow.why "
                                      "flow.returned flow.busy flow.problem flow.unread "
                                      "measurer jobs.opened jobs.log"),
            ("versions_update_list", _FLOW),
            ("versions_models", f"{_KIN} family.steps family.bringing family.left family.brought "
                                "family.problem engine.loaded"),
            ("versions_models_family", f"{_KIN} family.subject family.family family.plan "
                                       "family.unread"),
            ("versions_models_compare", f"{_KIN} {_ALIAS} family.aliases family.a family.b "
                                        "family.role family.comparison family.incomparable"),
            ("versions_files", f"{_SEEN} {_all_of('files', FilesState)}"),
            ("versions_storage", f"{_SEEN} {_all_of('storage', StorageState)}"),
            ("versions_health", f"{_SEEN} {_all_of('health', HealthState)}"),
        ),
    )  # fmt: skip
