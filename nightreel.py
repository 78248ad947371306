"""What a service imports: `from nightreel import Reader`. Needs the base install only."""

from tasks.index.lists import Recommendation, Similar, TopK
from tasks.index.reader import Reader
from tasks.stage import UserError

__all__ = ["Reader", "Recommendation", "Similar", "TopK", "UserError"]
