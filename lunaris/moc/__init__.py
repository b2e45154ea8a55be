"""LunarisCodex-MoC: a Llama-style language model whose experts confer before and after they are chosen."""

from lunaris.core import lazy

TITLE = {"en": "Experts", "pt-BR": "Especialistas"}
CHECKPOINT = "moc-pt"  # what the tab opens with

lazy.export(
    __name__,
    {
        "config": ["Config", "MoCModelConfig"],
        "request": ["Evaluation", "MoCEvaluation", "MoCFile", "MoCRequest", "Output", "Request"],
        "train": ["MoCTrainConfig", "TrainConfig", "load_run", "load_spec", "train"],
        "checkpoint": ["load", "save"],
        "data": ["prepare"],
        "generate": ["generate", "generate_request", "save_result", "stream"],
        "metrics": ["evaluate"],
        "demo": ["build_demo"],
        "verbs": ["VERBS"],
        "model": ["MoCConfig", "MoCForCausalLM", "MoCModel", "MoCOutput", "macs_per_token", "parameter_counts", "upcycle"],
    },
)
