#!/usr/bin/env python3
"""Writes a Llama of random weights with a tokenizer of words, as any server loads it.

usage: make_model.py FOLDER [LAYERS]     (default: 8 layers, 3.7 GB; needs a GPU for speed only)
"""

import json
import pathlib
import sys

import safetensors.torch
import tokenizers
import torch

HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, HEAD, WORDS = 4096, 11008, 32, 8, 128, 32000
SHAPES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (KV_HEADS * HEAD, HIDDEN),
    "self_attn.v_proj": (KV_HEADS * HEAD, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INTERMEDIATE, HIDDEN),
    "mlp.up_proj": (INTERMEDIATE, HIDDEN),
    "mlp.down_proj": (HIDDEN, INTERMEDIATE),
}


def weights(layers: int) -> dict:
    torch.manual_seed(7)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def random(*shape):
        return (torch.randn(*shape, device=device) * 0.02).to(torch.bfloat16).cpu()

    def ones():
        return torch.ones(HIDDEN, dtype=torch.bfloat16)

    found = {"model.embed_tokens.weight": random(WORDS, HIDDEN),
             "lm_head.weight": random(WORDS, HIDDEN), "model.norm.weight": ones()}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        for name, shape in SHAPES.items():
            found[f"{prefix}{name}.weight"] = random(*shape)
        for name in ("input_layernorm", "post_attention_layernorm"):
            found[f"{prefix}{name}.weight"] = ones()
    return found


def config(layers: int) -> dict:
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
            "intermediate_size": INTERMEDIATE, "num_hidden_layers": layers,
            "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD,
            "vocab_size": WORDS, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2,
            "torch_dtype": "bfloat16", "tie_word_embeddings": False}


def main() -> int:
    if len(sys.argv) not in (2, 3) or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if "--help" in sys.argv or "-h" in sys.argv else 2
    folder, layers = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 8
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(weights(layers), folder / "model.safetensors",
                                metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config(layers)))
    words = {"<unk>": 0, "<s>": 1, "</s>": 2, **{f"w{i}": i for i in range(3, WORDS)}}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>", "bos_token": "<s>",
         "eos_token": "</s>", "model_max_length": 4096}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
