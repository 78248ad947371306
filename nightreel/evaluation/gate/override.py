"""A person's word over the rules: for one candidate, by name, with a reason that goes with the verdict everywhere."""

from __future__ import annotations

from nightreel.errors import UserError
from nightreel.evaluation.gate.verdict import Verdict
from nightreel.settings import Override

NEVER = ("blocked", "broken lists")  # a rollback is lifted by `nightreel release`; broken lists are mended, not argued


def overridden(verdict: Verdict, override: Override, candidate: str) -> Verdict:
    """The verdict as the person wants it, if the override names this candidate; the rules stay as they were found.

    An override for another candidate changes nothing, so that one left behind can't wave later nights through. Raises
    UserError where it is not signed.
    """
    if override.candidate and not (override.by.strip() and override.reason.strip()):
        raise UserError("params.yaml: evaluate.override: `by` or `reason` is empty. Say who decides, and why.")
    if not override.candidate or not candidate.startswith(override.candidate):
        return verdict
    who = f"{override.by}: {override.reason}"
    if verdict.label in NEVER:
        return verdict.model_copy(update={"sentence": f"{verdict.sentence}; no override for that ({who})"})
    facts = {"by": override.by, "reason": override.reason, "instead_of": f"{verdict.decision} ({verdict.label})"}
    sentence = f"{override.decision} (overridden by {who}); the rules say: {verdict.sentence}"
    return verdict.model_copy(
        update={"decision": override.decision, "label": "overridden", "sentence": sentence, "override": facts}
    )
