"""The members by name: the one place that lists the recommenders."""

from __future__ import annotations

from tasks.models.content_knn import ContentKnn
from tasks.models.ease import Ease
from tasks.models.item_knn import ItemKnn
from tasks.models.popularity import Popularity
from tasks.models.protocol import Recommender
from tasks.models.slist import Slist
from tasks.models.svd import Svd
from tasks.models.user_knn import UserKnn

MEMBERS: dict[str, type[Recommender]] = {
    "popularity": Popularity,
    "item_knn": ItemKnn,
    "ease": Ease,
    "content_knn": ContentKnn,
    "slist": Slist,
    "svd": Svd,
    "user_knn": UserKnn,
}
