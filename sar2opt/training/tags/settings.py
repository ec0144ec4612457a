"""Everything that makes a tagger, as a file of settings says it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from sar2opt.nets.tagger import TaggerSettings
from sar2opt.training.loop.run import Schedule
from sar2opt.training.pairs.source_settings import SourceSettings
from sar2opt.training.settings import TrainingSettings


class TaggerTraining(TrainingSettings):
    """Everything that makes a tagger; ``sar2opt train`` reads it from TOML."""

    kind: str = "tagger"
    name: str = "tagger"
    confidence: float = 0.7  # weak labels below this teacher's probability are ignored
    teacher: Schedule = Schedule(steps=600, batch=8)
    student: Schedule = Schedule(steps=1200, batch=8)
    synthetic_scenes: int = 40  # with true labels, for what is rare in the weak ones
    synthetic_share: float = 0.3  # of the student's crops
    sources: tuple[SourceSettings, ...] = ()
    pairs: Path | None = Field(None, description="a set that 'pairs build' made, beside sources")
    chip_labels: dict[str, str | tuple[str, ...]] = Field(
        {}, description="label of whole chips: the tag, or one of the tags, that it stands for"
    )
    infrared: str = Field(
        "", description="the look of pairs in SWIR, NIR and red, on which water is seen"
    )
    speckle: float = 0.0  # share of the crops of that look on which speckle is laid: it is smooth
    gain_jitter_db: float = 1.0  # stands for calibration
    net: TaggerSettings = TaggerSettings()
    weights: dict[str, float] = Field({}, description="how often each source is drawn; else 1")
    objects: bool = False  # tag ships and large structures, from weak labels of their own
    hulls: float = 0.0  # share of the crops with water on which simulated ships are laid
    wind: float = 0.0  # share of the crops whose water is roughened
    wind_db: float = 6.0  # by up to so much
    edges: float = 0.0  # share of the crops in which the scene ends
    remarks: str = ""  # for the card: what a reader of the figures should know
