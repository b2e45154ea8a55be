"""Layers that more than one family builds from: attention (RMSNorm, RoPE, grouped queries) and experts (SwiGLU, collaborating experts)."""
