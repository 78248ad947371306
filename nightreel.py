"""What a service imports: `from nightreel import Reader`. Needs the base install only."""

from tasks.index.lists import Explanation, Reason, Recommendation, Similar, TopK
from tasks.index.live import LiveReader
from tasks.index.reader import Reader
from tasks.index.wishes import Wishes
from tasks.stage import UserError

__all__ = ["Explanation", "LiveReader", "Reader", "Reason", "Recommendation", "Similar", "TopK", "UserError", "Wishes"]
