"""The section `understand` of params.yaml: what is made of an item's words, sound and pictures."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from nightreel.settings.section import Section, Share
from nightreel.settings.sentiment import Sentiment


class Keywords(Section):
    """An item's keywords: phrases of its own description and transcript."""

    count: Annotated[int, Field(ge=0, le=50)]
    """Keywords per item; 0: none."""
    candidates: Annotated[int, Field(ge=1, le=500)]
    """Phrases of an item that are looked at, the most frequent first; time grows linearly."""
    diversity: Share
    """How far they have to differ: 0 takes the nearest to the text, 1 only looks at differences."""


class Summary(Section):
    """An item's extractive summary: its most central sentences."""

    sentences: Annotated[int, Field(ge=0, le=10)]
    """Sentences that are taken; 0: no summary. Prose of at most one more gets none."""
    reads: Annotated[int, Field(ge=2, le=1000)]
    """Sentences among which they are chosen, from the beginning; time grows linearly."""


class Tags(Section):
    """Tags that are learned from the catalogue's own labels, for items with prose."""

    taxonomy: tuple[str, ...]
    """Labels to learn, from items that have them among genres or tags; empty: the catalogue's genres."""
    least_items: Annotated[int, Field(ge=2)]
    """Items with prose that a label needs to be learned; fewer learn rare labels badly."""
    most_labels: Annotated[int, Field(ge=2, le=5000)]
    """Labels that are learned, the commonest first; time and memory grow linearly."""
    most_items: Annotated[int, Field(ge=100)]
    """Items that are learned from, drawn at random where there are more; bounds time and memory."""
    folds: Annotated[int, Field(ge=2, le=20)]
    """Parts of the cross-validation that calibrates the probabilities and measures the tags."""
    strength: Annotated[float, Field(gt=0)]
    """Of the fit against the penalty (scikit-learn's C); higher follows the examples more closely."""
    probability: Share
    """Least calibrated probability of a tag; below it, it stays away rather than being wrong."""


class Media(Section):
    """Media files in the source's folder, named by `media_uri`; they need `nightreel[media]`."""

    speech: str
    """`tiny.en` (from its package; English), or a folder with a Whisper model in CTranslate2's format; empty: no
    transcripts."""
    credible: Annotated[float, Field(le=0)]
    """Least mean log probability of a transcript; below it, it is left out: music and noise get words, too."""
    pictures: Literal["efficientnet-lite0", ""]
    """Encoder of key frames (from its package); empty: none."""
    frames: Annotated[int, Field(ge=1, le=64)]
    """Frames of a video that are looked at, evenly spread over its key frames (over time where it has fewer than 3)."""
    most_seconds: Annotated[int, Field(ge=1)]
    """Seconds of a file that are looked at; memory (2 MB a minute) and time grow linearly."""
    decode_seconds: Annotated[int, Field(ge=1)]
    """Most seconds that decoding a file may take, in a process of its own."""
    memory_mb: Annotated[int, Field(ge=512)]
    """Most address space of that process."""
    most_megapixels: Annotated[int, Field(ge=1)]
    """Largest picture that is decoded."""


class Writer(Section):
    """A language model that writes a summary and themes of items with prose. Off where `model` is empty."""

    model: str
    """A folder in transformers' format, a .gguf file (needs `nightreel[gguf]`), or the model's name at `endpoint`.
    Empty: none is asked."""
    endpoint: str
    """Address of a server that speaks OpenAI's chat completions, such as http://localhost:8000/v1; its key is in
    NIGHTREEL_LLM_KEY. Empty: the model runs here."""
    request: dict[str, Any]
    """More fields of a request to the endpoint, or others in place of ours, such as {temperature: 0.2, seed: null};
    null leaves a field out."""
    max_tokens: Annotated[int, Field(ge=16, le=8192)]
    """Tokens of an answer."""
    budget_tokens: Annotated[int, Field(ge=0)]
    """Tokens, read and written, after which a run asks no more; the other items wait for the next run of the stage."""
    per_minute: Annotated[float, Field(gt=0)]
    """Most questions a minute."""
    timeout_s: Annotated[float, Field(gt=0)]
    """Seconds to wait for an answer; a busy or silent endpoint is asked again, with growing pauses."""


class Understand(Section):
    seed: Annotated[int, Field(ge=0)]
    """Seed of the cross-validation's parts."""
    language_score: Share
    """Least probability of an identified language; below it, the language stays empty. Titles alone rarely reach
    0.9."""
    keywords: Keywords
    """Keywords."""
    summary: Summary
    """Summary."""
    tags: Tags
    """Learned tags."""
    sentiment: Sentiment
    """Tone of the prose."""
    media: Media
    """Media files."""
    writer: Writer
    """Language model."""
