"""The section `understand` of params.yaml: fields derived from an item's text, sound and pictures."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from nightreel.settings.section import Section, Share
from nightreel.settings.sentiment import Sentiment


class Keywords(Section):
    """Keywords of an item: phrases from its description and transcript."""

    count: Annotated[int, Field(ge=0, le=50)]
    """Number of keywords per item; 0: none."""
    candidates: Annotated[int, Field(ge=1, le=500)]
    """Number of phrases per item among which keywords are chosen, the most frequent first. Time grows linearly."""
    diversity: Share
    """Weight of variety in the choice: 0 takes the phrases closest to the text, 1 the most different from each
    other."""


class Summary(Section):
    """Extractive summary of an item: its most central sentences."""

    sentences: Annotated[int, Field(ge=0, le=10)]
    """Number of sentences; 0: no summary. Texts with at most one sentence more get none."""
    reads: Annotated[int, Field(ge=2, le=1000)]
    """Number of sentences, from the beginning, among which they are chosen. Time grows linearly."""


class Tags(Section):
    """Tags predicted for items with a description or transcript, by classifiers trained on the catalogue's own
    labels."""

    taxonomy: tuple[str, ...]
    """Labels to predict, trained on items that have them as a genre or tag; empty: the catalogue's genres."""
    least_items: Annotated[int, Field(ge=2)]
    """Minimum number of items with text and this label for a label to be predicted. Lower includes rare labels, which
    are predicted less reliably."""
    most_labels: Annotated[int, Field(ge=2, le=5000)]
    """Maximum number of labels, the most common first. Time and memory grow linearly."""
    most_items: Annotated[int, Field(ge=100)]
    """Maximum number of training items, sampled at random where there are more. Time and memory grow linearly."""
    folds: Annotated[int, Field(ge=2, le=20)]
    """Folds of the cross-validation that calibrates the probabilities and measures the tags' quality."""
    strength: Annotated[float, Field(gt=0)]
    """Inverse of the regularization (scikit-learn's C); higher fits the examples more closely."""
    probability: Share
    """Minimum calibrated probability of a tag; higher gives fewer and more reliable tags."""


class Media(Section):
    """Transcripts and picture features of media files, which `media_uri` names. Needs `nightreel[media]`."""

    speech: str
    """The speech recognition model: `tiny.en` (from its package; English), or a folder with a Whisper model in
    CTranslate2's format; empty: no transcripts."""
    credible: Annotated[float, Field(le=0)]
    """Minimum mean log probability of a transcript; below it, it is discarded, since music and noise yield words,
    too."""
    pictures: Literal["efficientnet-lite0", ""]
    """Encoder of key frames and pictures (from its package); empty: none."""
    frames: Annotated[int, Field(ge=1, le=64)]
    """Number of frames read from a video, evenly spaced over its key frames (over time where it has fewer than 3). Time
    grows linearly."""
    most_seconds: Annotated[int, Field(ge=1)]
    """Maximum seconds read from a file. Memory (2 MB a minute) and time grow linearly."""
    decode_seconds: Annotated[int, Field(ge=1)]
    """Time limit for decoding one file, in seconds. Decoding runs in a separate process."""
    memory_mb: Annotated[int, Field(ge=512)]
    """Memory limit of that process (address space), in megabytes."""
    most_megapixels: Annotated[int, Field(ge=1)]
    """Largest picture that is decoded, in megapixels."""


class Writer(Section):
    """A language model that writes a summary and themes for items with text. Off where `model` is empty."""

    model: str
    """A folder in transformers' format, a .gguf file or SmolLM2-135M-Instruct (from its package; both need
    `nightreel[gguf]`), or the model's name at `endpoint`; empty: no language model."""
    endpoint: str
    """Address of a server that speaks OpenAI's chat completions, such as http://localhost:8000/v1; its key is in
    NIGHTREEL_LLM_KEY. Empty: the model runs here."""
    request: dict[str, Any]
    """More fields of a request to the endpoint, or others in place of ours, such as {temperature: 0.2, seed: null};
    null leaves a field out."""
    max_tokens: Annotated[int, Field(ge=16, le=8192)]
    """Maximum tokens of a response."""
    budget_tokens: Annotated[int, Field(ge=0)]
    """Maximum tokens, input and output, of a run; the remaining items are left to the next run of the stage."""
    per_minute: Annotated[float, Field(gt=0)]
    """Maximum requests per minute."""
    timeout_s: Annotated[float, Field(gt=0)]
    """Timeout of a request, in seconds. Requests to a busy or silent endpoint are retried with growing delays."""


class Understand(Section):
    seed: Annotated[int, Field(ge=0)]
    """Seed of the random cross-validation folds."""
    language_score: Share
    """Minimum probability of an identified language; below it the language is left empty. Titles alone rarely reach
    0.9."""
    keywords: Keywords
    """Keywords of items."""
    summary: Summary
    """Extractive summaries of items."""
    tags: Tags
    """Predicted tags."""
    sentiment: Sentiment
    """Sentiment of the text."""
    media: Media
    """Transcripts and picture features of media files."""
    writer: Writer
    """Summaries and themes by a language model."""
