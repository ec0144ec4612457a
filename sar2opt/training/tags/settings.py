"""Everything that makes a tagger, as a file of settings says it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from sar2opt.config import Scale, Settings
from sar2opt.nets.tagger import CLASSES, TaggerSettings
from sar2opt.training.loop.run import Schedule
from sar2opt.training.pairs.pair import BLOCK, Split, split_of_place
from sar2opt.training.pairs.source_settings import SourceSettings
from sar2opt.training.settings import TrainingSettings


class LabelSettings(Settings):
    """A scene with labels of one's own."""

    name: str
    sar: str = Field(description="any scene that can be read, path below the data folder")
    labels: str = Field(description="path of a raster of classes, or of a vector file of polygons")
    column: str = Field("", description="polygons: the column that names their class")
    classes: dict[str, str] = Field(
        min_length=1, description="code or name of a class in the labels: its tag; else unknown"
    )
    scale: Scale = Field("auto", description="what the numbers of the scene mean")
    band: str = Field("", description="polarisation to learn from; the first of vh and vv")
    block: int = Field(BLOCK, ge=64, description="side in pixels of a block, a place of its own")
    val: tuple[str, ...] = Field((), description="blocks 'row-column' that are held out to tune by")
    test: tuple[str, ...] = Field((), description="blocks that are held out to judge by")

    @field_validator("classes")
    @classmethod
    def _are_tags(cls, classes: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(set(classes.values()) - set(CLASSES)):
            raise ValueError(f"no tag is called {unknown[0]!r}: say {', '.join(CLASSES)}")
        return classes

    def split(self, place: str) -> Split:
        """Return the split of a block: as listed, or else by hash."""
        if self.val or self.test:
            return "test" if place in self.test else "val" if place in self.val else "train"
        return split_of_place(self.name, place)


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
    labels: tuple[LabelSettings, ...] = Field(
        (), description="scenes with labels of one's own, beside or instead of pairs"
    )
    start: str = Field("", description="tagger to go on from: name or .safetensors; else none")
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
    notices: tuple[str, ...] = Field(
        (), description="for the card: sources and licences; none: those of the shipped tagger"
    )
