"""The members by name: the one place that lists the recommenders.

A model may be there twice, for settings that see different things: `slist_short` looks at the last few items and some
way ahead, `ease_long` at most of a history. The blend gains from both.
"""

from __future__ import annotations

from tasks.models.content_knn import ContentKnn
from tasks.models.ease import Ease
from tasks.models.genre_popularity import GenrePopularity
from tasks.models.ials import Ials
from tasks.models.item_knn import ItemKnn
from tasks.models.nmf import Nmf
from tasks.models.popularity import Popularity
from tasks.models.protocol import Recommender
from tasks.models.recurrent import Recurrent
from tasks.models.slist import Slist
from tasks.models.svd import Svd
from tasks.models.tfidf_knn import TfidfKnn
from tasks.models.transformer import Transformer
from tasks.models.user_knn import UserKnn
from tasks.models.vae import Vae

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
