"""Catalogues in which new items with a telling title, creator or text are planted, with people whom they fit."""
