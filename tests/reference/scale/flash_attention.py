from transformer.attention import cases

CASES = cases("flash_attention")
