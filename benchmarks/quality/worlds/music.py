"""Made-up music: tracks of albums of artists in twelve genres; half of them are described.

New tracks are told by one column: their creator, their title ("Amber Harbour: Counting Rain at Noon") or their
description ("A new single by Amber Harbour, …"). All names and sentences are put together from the short lists below.
"""

from __future__ import annotations

import numpy as np

from benchmarks.quality.worlds.made_up import Row, World, spread

FIRST = ("Amber", "Broken", "Copper", "Distant", "Electric", "Fading", "Golden", "Hollow", "Ivory", "Lunar", "Midnight",
         "Northern", "Paper", "Quiet", "Rusty", "Silver", "Tidal", "Velvet", "Wandering", "Winter")  # fmt: skip
SECOND = ("Arcade", "Bridges", "Cathedral", "Foxes", "Gardeners", "Harbour", "Lanterns", "Mirrors", "Orchard", "Parade",
          "Pilots", "Ravens", "Satellites", "Sailors", "Theatre", "Tigers", "Valley", "Wolves")  # fmt: skip
GENRES = {
    "ambient": ("drones", "tape loops", "a slow pulse"),
    "blues": ("slide guitar", "a shuffle", "harmonica"),
    "country": ("pedal steel", "banjo", "two voices"),
    "electronic": ("analogue synths", "a drum machine", "arpeggios"),
    "folk": ("fiddle", "fingerpicking", "a hushed choir"),
    "hip hop": ("dusty samples", "double time verses", "a heavy kick"),
    "indie rock": ("jangling guitars", "a driving bass", "handclaps"),
    "jazz": ("walking bass", "brushed drums", "a long saxophone solo"),
    "metal": ("blast beats", "drop tuning", "growls"),
    "piano": ("felt piano", "left hand ostinatos", "silence"),
    "reggae": ("offbeat organ", "dub echoes", "a deep bass"),
    "soul": ("horns", "a gospel chorus", "strings"),
}
THINGS = ("rain", "letters", "fire", "glass", "roads", "shadows", "summer", "stone", "water", "wires", "bells", "dust")
DOES = ("Falling", "Burning", "Leaving", "Counting", "Chasing", "Forgetting", "Carrying", "Waking", "Turning", "Losing",
        "Painting", "Crossing")  # fmt: skip
WHERE = ("in the Attic", "by the River", "after Dark", "at the Border", "on Sunday", "over the Roofs", "without You",
         "under Ice", "before the War", "in Slow Motion", "from the Window", "at Noon")  # fmt: skip
ABOUT = (
    "A new single by {artist}, with {sounds}.",
    "From the album {album}: {sounds}.",
    "The last song of the album {album}, with {sounds}.",
    "{sounds}; {artist} at their best.",
)
ARTISTS, DESCRIBED = 250, 0.5


def music(seed: int = 0) -> World:
    """About 2,250 tracks of ARTISTS artists."""
    rng, rows, artist, genre = np.random.default_rng(seed), list[Row](), list[int](), list[int]()
    pairs = rng.choice(len(FIRST) * len(SECOND), ARTISTS, replace=False)
    names = [f"{FIRST[pair // len(SECOND)]} {SECOND[pair % len(SECOND)]}" for pair in pairs.tolist()]
    own = rng.integers(len(GENRES), size=ARTISTS)
    for number, name in enumerate(names):
        for _ in range(int(rng.integers(1, 4))):
            album, tracks = _title(rng), int(rng.integers(3, 7))
            for _ in range(tracks):
                rows.append(_track(rng, f"m{len(rows)}", name, album, int(own[number])))
                artist.append(number)
                genre.append(int(own[number]))
    series = np.array(artist)
    new = {
        number: _new(rng, f"new{at}", names[number], int(own[number]), ("creators", "title", "description")[at % 3])
        for at, number in enumerate(spread(rng, series))
    }
    return World(rows, series, np.array(genre), names, new, again=True)


def _track(rng: np.random.Generator, item: str, artist: str, album: str, genre: int) -> Row:
    about = str(rng.choice(ABOUT)).format(artist=artist, album=album, sounds=_sounds(rng, genre))
    said = about if rng.random() < DESCRIBED else None
    return _row(item, _title(rng), genre, creators=[artist], tags=[album], description=said)


def _new(rng: np.random.Generator, item: str, artist: str, genre: int, told: str) -> tuple[Row, str]:
    """A new track of an artist, who is named in one column alone."""
    row = _row(item, _title(rng), genre)
    if told == "creators":
        row["creators"] = [artist]
    elif told == "title":
        row["title"] = f"{artist}: {row['title']}"
    else:
        row["description"] = ABOUT[0].format(artist=artist, sounds=_sounds(rng, genre))
    return row, told


def _row(item: str, title: str, genre: int, **more: object) -> Row:
    columns = {"creators": None, "tags": None, "description": None} | more
    return {"item_id": item, "title": title, "genres": [list(GENRES)[genre]], "media_type": "music", **columns}


def _sounds(rng: np.random.Generator, genre: int) -> str:
    first, second = rng.choice(list(GENRES.values())[genre], 2, replace=False)
    return f"{first} and {second}"


def _title(rng: np.random.Generator) -> str:
    """Such as "Counting Rain at Noon"."""
    return f"{rng.choice(DOES)} {str(rng.choice(THINGS)).title()} {rng.choice(WHERE)}"
