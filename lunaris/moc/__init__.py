"""LunarisCodex-MoC: a Llama-style language model whose experts confer before and after they are chosen."""

from lunaris.core import lazy

TITLE = {"en": "Collaborative Experts", "pt-BR": "Especialistas em Colaboração"}

lazy.export(
    __name__,
    {
        "config": ["Config", "MoCModelConfig"],
        "model": ["MoCConfig", "MoCForCausalLM", "MoCModel", "MoCOutput", "macs_per_token", "parameter_counts", "upcycle"],
    },
)
