"""LunarisCore: pixel art by a variational autoencoder, optionally steered by text. The names below are the family's contract."""

from lunaris.core import lazy

TITLE = {"en": "Pixel Art", "pt-BR": "Pixel Art"}
CHECKPOINT = "pixel-16"  # what the tab opens with

lazy.export(
    __name__,
    {
        "config": ["Config", "PixelConfig", "PixelTrainConfig", "TrainConfig"],
        "request": ["PixelOutput", "PixelRequest"],
        "run": ["Output", "PixelFiles", "PixelRun", "Request"],
        "model": ["Decoder", "Encoder", "LatentAdd", "LatentConcat", "LatentGating", "LunarCore", "TextEncoder", "load", "save"],
        "train": ["train"],
        "generate": ["generate", "generate_request", "interpolate", "interpolate_prompts", "save_result", "unknown_words"],
        "explore": ["arithmetic", "decode_point", "latent_map", "reconstruct"],
        "metrics": ["evaluate"],
        "demo": ["build_demo"],
        "verbs": ["VERBS"],
    },
)
