"""LunarisCodex-MoC: a Llama-style language model whose experts confer before and after they are chosen."""

from lunaris.core import lazy

TITLE = {"en": "Collaborative Experts", "pt-BR": "Especialistas em Colaboração"}

lazy.export(
    __name__,
    {
        "config": ["Config", "MoCModelConfig"],
        "request": ["MoCFile", "MoCRequest", "Output", "Request"],
        "train": ["MoCTrainConfig", "TrainConfig", "load_spec", "train"],
        "checkpoint": ["load", "save"],
        "data": ["prepare"],
        "generate": ["generate", "generate_request", "save_result", "stream"],
        "metrics": ["evaluate"],
        "model": ["MoCConfig", "MoCForCausalLM", "MoCModel", "MoCOutput", "macs_per_token", "parameter_counts", "upcycle"],
    },
)
