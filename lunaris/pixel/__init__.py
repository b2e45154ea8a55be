"""LunarisCore: pixel art by a variational autoencoder, optionally steered by text. The names below are the family's contract."""

import lazy_loader

TITLE = {"en": "Pixel Art", "pt-BR": "Pixel Art"}
CHECKPOINT = "pixel-16"  # what the tab opens with

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "config": ["Config", "PixelConfig", "PixelTrainConfig", "TrainConfig"],
        "request": ["Output", "PixelOutput", "PixelRequest", "Request"],
        "model": ["Decoder", "Encoder", "LatentAdd", "LatentConcat", "LatentGating", "LunarCore", "TextEncoder", "load", "save"],
        "train": ["train"],
        "generate": ["generate", "generate_request", "interpolate", "interpolate_prompts", "save_result"],
        "metrics": ["evaluate"],
        "demo": ["build_demo"],
    },
)
