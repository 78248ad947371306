"""Manual override of the verdict: signed, with a reason, for one candidate; recorded with the verdict."""

from __future__ import annotations

from nightreel.errors import UserError
from nightreel.evaluation.gate.verdict import Verdict
from nightreel.settings.evaluate import Override

NEVER = ("blocked", "broken lists")  # a rollback's block needs `nightreel release`; faulty lists need a fix


def overridden(verdict: Verdict, override: Override, candidate: str) -> Verdict:
    """Apply an override to the verdict if it names this candidate; the rules' results are kept.

    An override for another candidate changes nothing, so that one left in params.yaml can't affect later nights.

    Raises:
        UserError: `by` or `reason` is empty.
    """
    if override.candidate and not (override.by.strip() and override.reason.strip()):
        raise UserError("params.yaml: evaluate.override: `by` or `reason` is empty. State who decides, and why.")
    if not override.candidate or not candidate.startswith(override.candidate):
        return verdict
    who = f"{override.by}: {override.reason}"
    if verdict.label in NEVER:
        return verdict.model_copy(update={"sentence": f"{verdict.sentence}; this can't be overridden ({who})"})
    facts = {"by": override.by, "reason": override.reason, "instead_of": f"{verdict.decision} ({verdict.label})"}
    sentence = f"{override.decision} (overridden by {who}); the rules say: {verdict.sentence}"
    return verdict.model_copy(
        update={"decision": override.decision, "label": "overridden", "sentence": sentence, "override": facts}
    )
