"""The files of a run: everything a visitor can take along, made from the run's stamped PNGs alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lunaris.core import ui
from lunaris.core.config import ConfigError
from lunaris.pixel.run import PixelRun

if TYPE_CHECKING:
    from lunaris.pixel.export import Sprite

SCALES = (2, 4, 8, 16, 32)
SCALE = 8


class Files(NamedTuple):
    """Paths of what can be downloaded of a run."""

    sprites: list[str]
    sheet: str
    bundle: str
    atlas: str
    gif: str


def checked_scale(scale: Any) -> int:
    scale = ui.whole(scale)
    if isinstance(scale, bool) or not isinstance(scale, int) or not 1 <= scale <= SCALES[-1]:
        raise ConfigError(f"scale must be a whole number from 1 to {SCALES[-1]}, got {str(scale)[:40]}; try {SCALE}")
    return scale


def read(path: Path) -> "Sprite":
    """A sprite from its stamped PNG."""
    from lunaris.core import provenance
    from lunaris.core.images import read_image
    from lunaris.pixel.export import Sprite

    data = provenance.file_bytes(path)
    return Sprite(read_image(data), provenance.read(data))


def pack(sprites: "list[Sprite]", run: PixelRun, scale: int) -> Files:
    """Every sprite, their sheet, its atlas, a GIF of them in turn, and a ZIP of it all. Equal sprites give equal bytes."""
    from lunaris.pixel import export

    found = export.run_files(sprites, run, scale=scale)
    paths = {Path(name).name: ui.keep(Path(name).name, data) for name, data in found.items() if Path(name).parts[0] in ("x1", name)}
    return Files(
        [paths[name] for name in run.names()],
        paths[f"{run.stem}-sheet.png"],
        ui.keep(f"{run.stem}.zip", export.bundle(found)),
        paths[f"{run.stem}-sheet.json"],
        paths[f"{run.stem}.gif"],
    )


def paths(items: Any) -> list[Path]:
    """The files behind a gallery as the page sends it. Gradio has checked by now that they are ones of its cache."""
    found = [Path(item["image"]["path"]) for item in items or ()]
    if not found or not all(path.is_file() for path in found):
        raise ConfigError("the pictures of this run are no longer on the server, got only their names; press Generate again")
    return found
