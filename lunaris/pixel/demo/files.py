"""The files of a run: everything a visitor can take along, made from the run's stamped PNGs alone."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lunaris.core import ui
from lunaris.core.config import ConfigError

if TYPE_CHECKING:
    import numpy as np

SCALES = (2, 4, 8, 16, 32)
SCALE = 8
SLIDE_MS = 400  # how long a sprite of a run stays in its GIF


class Sprite(NamedTuple):
    """A sprite and the record that makes it again; as a file, a PNG with the record in it."""

    image: "np.ndarray"  # (side, side, 4)
    record: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Sprite":
        from lunaris.core import provenance
        from lunaris.core.images import read_image

        data = provenance.file_bytes(path)
        return cls(read_image(data), provenance.read(data))

    def png(self, scale: int = 1) -> bytes:
        """The sprite as a stamped PNG, every pixel a square of side `scale`."""
        from lunaris.core import provenance
        from lunaris.core.images import png_bytes, upscale

        return provenance.stamp(png_bytes(upscale(self.image, scale)), {**self.record, "scale": scale})


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


def pack(sprites: list[Sprite], names: list[str], stem: str, scale: int) -> Files:
    """Every sprite, their sheet, its atlas, a GIF of them in turn, and a ZIP of it all. Equal sprites give equal bytes."""
    import numpy as np

    from lunaris.core.images import png_bytes
    from lunaris.core.provenance import stamp
    from lunaris.pixel import export

    images = np.stack([sprite.image for sprite in sprites])
    small = {name: sprite.png() for name, sprite in zip(names, sprites, strict=True)}
    large = {f"x{scale}/{name}": sprite.png(scale) for name, sprite in zip(names, sprites, strict=True)} if scale > 1 else {}
    picture, atlas = export.sheet(images, names, file=f"{stem}-sheet.png")
    whole = {
        f"{stem}-sheet.png": stamp(png_bytes(picture), _common_record(sprites)),
        f"{stem}-sheet.json": (json.dumps(atlas, indent=1) + "\n").encode(),
        f"{stem}.gif": export.gif(images, scale=scale, ms=SLIDE_MS, bounce=False),
    }
    bundle = export.bundle({**{f"x1/{name}": data for name, data in small.items()}, **large, **whole})
    paths = {name: ui.keep(name, data) for name, data in {**small, **whole, f"{stem}.zip": bundle}.items()}
    return Files([paths[name] for name in names], *(paths[f"{stem}{ending}"] for ending in ("-sheet.png", ".zip", "-sheet.json", ".gif")))


def _common_record(sprites: list[Sprite]) -> dict[str, Any] | None:
    """The record of the one call that made them all, in this order; None where a cell was drawn again by a call of its own."""
    whole = {**sprites[0].record, "index": None}
    alike = all(sprite.record == {**whole, "index": i} for i, sprite in enumerate(sprites))
    return whole if alike and whole["args"]["n"] == len(sprites) else None


def paths(items: Any) -> list[Path]:
    """The files behind a gallery as the page sends it. Gradio has checked by now that they are ones of its cache."""
    found = [Path(item["image"]["path"]) for item in items or ()]
    if not found or not all(path.is_file() for path in found):
        raise ConfigError("the pictures of this run are no longer on the server, got only their names; press Generate again")
    return found
