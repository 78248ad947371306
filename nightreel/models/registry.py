"""The members by name: the one place that lists the recommenders.

A model may be there twice, for settings that see different things: `slist_short` looks at the last few items and some
way ahead, `ease_long` at most of a history. The blend gains from both.
"""

from __future__ import annotations

from nightreel.models.base import Recommender
from nightreel.models.baselines.popularity import Popularity
from nightreel.models.baselines.popularity_by_genre import GenrePopularity
from nightreel.models.factorization.ials import Ials
from nightreel.models.factorization.nmf import Nmf
from nightreel.models.factorization.svd import Svd
from nightreel.models.linear.ease import Ease
from nightreel.models.linear.slist import Slist
from nightreel.models.neighbors.content_knn import ContentKnn
from nightreel.models.neighbors.item_knn import ItemKnn
from nightreel.models.neighbors.tfidf_knn import TfidfKnn
from nightreel.models.neighbors.user_knn import UserKnn
from nightreel.models.neural.gru import Recurrent
from nightreel.models.neural.transformer.model import Transformer
from nightreel.models.neural.vae import Vae

MEMBERS: dict[str, type[Recommender]] = {
    "popularity": Popularity,
    "item_knn": ItemKnn,
    "ease": Ease,
    "ease_long": Ease,
    "content_knn": ContentKnn,
    "slist": Slist,
    "slist_short": Slist,
    "svd": Svd,
    "transformer": Transformer,
    "user_knn": UserKnn,
    "ials": Ials,
    "nmf": Nmf,
    "tfidf_knn": TfidfKnn,
    "vae": Vae,
    "recurrent": Recurrent,
    "popularity_by_genre": GenrePopularity,
}
