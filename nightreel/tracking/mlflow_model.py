"""The registered model as code: MLflow runs this file when it loads a version, so that nothing is pickled.

model = mlflow.pyfunc.load_model("models:/nightreel@champion")
model.predict(pandas.DataFrame({"user_id": ["196"]}), params={"k": 10})    # user_id, item_id, rank, score

Withdrawals are stored outside the version, in the store: if NIGHTREEL_STORE is set, the model applies those in force
when it is loaded; otherwise it recommends as published.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.open import open_store
from nightreel.store.withdrawals_file import read


class BundleModel(PythonModel):  # type: ignore[misc]
    """MLflow's model interface over a Reader."""

    def load_context(self, context: Any) -> None:
        """Open and verify the version's bundle, and apply the withdrawals in NIGHTREEL_STORE, if set."""
        self.reader = Reader.open_bundle(Path(context.artifacts["bundle"]))
        where = os.environ.get("NIGHTREEL_STORE")
        if where:
            store = open_store(where)
            pointer = channels.live(store)
            self.reader = self.reader.under(read(store, pointer.withdrawals) if pointer else None)

    # Without type annotations, which MLflow would take for a schema; the logged signature has it already.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """Recommend for a frame with a column `user_id`; returns user_id, item_id, rank, score. params: {"k": 10}."""
        users = [str(user) for user in model_input["user_id"]]
        return self.reader.recommend_users(users, int((params or {}).get("k", 10))).to_pandas()


set_model(BundleModel())
