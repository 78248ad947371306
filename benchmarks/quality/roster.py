"""The peers: their names, their environments, and the code that runs them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """label: as in the table; home: its requirements file; code: `module.name` under peers/."""

    label: str
    home: str
    code: str


ROSTER = {
    "popular": Peer("most popular (RecTools)", "rectools", "rectools_models.popular"),
    "recent-popularity": Peer("recent popularity", "recency", "recency_models.popularity"),
    "recent-item-knn": Peer("item-kNN + recent popularity", "recency", "recency_models.item-knn"),
    "recent-ease": Peer("EASE + recent popularity", "recency", "recency_models.ease"),
    "implicit-item-knn": Peer("implicit item-kNN", "rectools", "implicit_models.item-knn"),
    "implicit-als": Peer("implicit ALS", "rectools", "implicit_models.als"),
    "implicit-bpr": Peer("implicit BPR", "rectools", "implicit_models.bpr"),
    "lenskit-item-knn": Peer("LensKit item-kNN", "lenskit", "lenskit_models.item-knn"),
    "lenskit-implicit-mf": Peer("LensKit implicit MF", "lenskit", "lenskit_models.implicit-mf"),
    "lenskit-ease": Peer("LensKit EASE", "lenskit", "lenskit_models.ease"),
    "rectools-ease": Peer("RecTools EASE", "rectools", "rectools_models.ease"),
    "rectools-sasrec": Peer("RecTools SASRec", "rectools", "rectools_models.sasrec"),
    "rectools-esasrec": Peer("RecTools eSASRec", "rectools", "rectools_models.esasrec"),
    "rectools-bert4rec": Peer("RecTools BERT4Rec", "rectools", "rectools_models.bert4rec"),
    "rectools-hstu": Peer("RecTools HSTU", "rectools", "rectools_models.hstu"),
}
