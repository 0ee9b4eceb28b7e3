#ifndef DIALECTS_ATTN_TRANSFORMS_PASSES_TD
#define DIALECTS_ATTN_TRANSFORMS_PASSES_TD
include "mlir/Pass/PassBase.td"

def ThreadCachesPass : Pass<"attn-thread-caches"> {
  let summary = "give every stateful op the caches it needs";
  let description = [{
    Asks each `StatefulOpInterface` op what it must remember of a sequence, declares one `attn.cache` for each need and
    attaches it. Softmax attention then reads keys and values from their pages, behind which the new ones are appended;
    a short convolution keeps the last rows of its input. Ops that have their caches already are left alone.

    ```mlir
    %o = attn.softmax %q, %k, %v
    ==>
    %keys = attn.cache "keys" : !attn.cache<paged 1x64xf32>
    %values = attn.cache "values" : !attn.cache<paged 1x64xf32>
    attn.append %k to %keys
    attn.append %v to %values
    %o = attn.attend %q, %keys, %values scale 0.125
    ```

    Latent attention keeps one row per token, which is the key of all heads and holds their value:

    ```mlir
    %o = attn.latent_softmax %q, %c, %kv_b rope %qr, %kr
    ==>
    %latents = attn.cache "latents" : !attn.cache<paged 1x576xf32>
    attn.append %c, %kr to %latents
    %a = attn.absorb %q, %kv_b rope %qr
    %m = attn.attend %a, %latents, %latents columns 512 scale 0.0721688
    %o = attn.attend_latent %m or %q, %latents, %kv_b rope %qr scale 0.0721688
    ```
  }];
  let dependentDialects = ["::denim::attn::AttnDialect"];
}

def ChooseChunkPass : Pass<"attn-choose-chunk"> {
  let summary = "choose the chunk length of every linear recurrence";
  let description = [{
    A recurrence in the normal form gets `chunk`: sequences with some new tokens run in the chunked form, those with few
    token by token. One outside the normal form keeps no chunk and runs token by token; a remark names the term that
    stands outside. Changes rounding: both forms agree to about 1e-6 relative in f32.

    Under a decay per channel a chunk costs more the longer it is, so it has a length of its own, for which every decay is
    right. Where the decay is not strong a CPU takes several chunks as one (`recurrence.joined_tokens`, compiler/tuning).

    ```mlir
    %o = attn.delta_rule %q, %k, %v beta %b
    ==>
    %o = attn.delta_rule %q, %k, %v beta %b chunk 64
    ```
  }];
  let options = [Option<"length", "length", "int64_t", /*default=*/"64", "tokens per chunk">,
                 Option<"channels", "channels", "int64_t", /*default=*/"16",
                        "most tokens per chunk under a decay per channel">];
}

def SplitKeysPass : Pass<"attn-split-keys"> {
  let summary = "attend to parts of a long past side by side";
  let description = [{
    In front of each `attn.attend` puts an `attn.attend_part` that handles the tokens of sequences that bring few: one
    head of one token is then work for up to `splits` threads. An op may say its number as an attribute, which goes away
    with it. One split, or an op that has its parts, changes nothing.

    ```mlir
    %o = attn.attend %q, %keys, %values scale 0.125 {splits = 8 : i64}
    ==>
    %p = attn.attend_part %q, %keys, %values splits 8 scale 0.125
    %o = attn.attend %q, %keys, %values scale 0.125 parts %p
    ```
  }];
  let options = [Option<"splits", "splits", "int64_t", /*default=*/"1",
                        "parts of the keys of one sequence where the op has no number">];
}
#endif
