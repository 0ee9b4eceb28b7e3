#ifndef DIALECTS_ATTN_IR_ATTNOPS_TD
#define DIALECTS_ATTN_IR_ATTNOPS_TD
include "dialects/attn/ir/AttnDialect.td"
include "dialects/interfaces/Interfaces.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Attn_Op<string mnemonic, list<Trait> traits = []> : Op<Attn_Dialect, mnemonic, traits>;
class Attn_Inferred<string mnemonic, list<Trait> traits = []>
    : Attn_Op<mnemonic, traits # [Pure, InferTypeOpAdaptor]>;

//===--------------------------------------------------------------------------------------------------------------===//
// Caches
//===--------------------------------------------------------------------------------------------------------------===//

def Attn_CacheKind : I32EnumAttr<"Kind", "how the runtime keeps a cache", [
    I32EnumAttrCase<"state", 0>, I32EnumAttrCase<"tail", 1>, I32EnumAttrCase<"paged", 2>]> {
  let cppNamespace = "::denim::attn";
}

def Attn_CacheType : TypeDef<Attn_Dialect, "Cache"> {
  let mnemonic = "cache";
  let summary = "what is kept of every sequence between steps";
  let description = [{
    * `!attn.cache<state 3x64x64xf32>`: a value per sequence, overwritten by every step; zero at the start
    * `!attn.cache<tail 3x320xf32>`: the last 3 rows of an activation per sequence, oldest first; zero at the start
    * `!attn.cache<paged 2x64xf32>`: 2 heads of 64 channels per token, in pages
  }];
  let parameters = (ins "::denim::attn::Kind":$kind, ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}
def Attn_AnyCache : Type<CPred<"::llvm::isa<::denim::attn::CacheType>($_self)">, "cache", "::denim::attn::CacheType">;

def Attn_CacheOp : Attn_Op<"cache", []> {
  let summary = "a cache of this layer";
  let description = [{ Written by `attn-thread-caches`; the author of a block does not. }];
  let arguments = (ins StrAttr:$name);
  let results = (outs Attn_AnyCache:$result);
  let assemblyFormat = "$name attr-dict `:` qualified(type($result))";
}

def Attn_AppendOp : Attn_Op<"append"> {
  let summary = "write the rows of the new tokens behind those that a paged cache holds";
  let description = [{
    Input `[T, heads, columns]`; written by `attn-thread-caches` for the keys and values of softmax. Several inputs,
    `[T, columns]` or `[T, 1, columns]`, stand side by side in one row of a single head: a latent and its key.
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs, Attn_AnyCache:$cache);
  let assemblyFormat = "custom<Values>($inputs, type($inputs)) `to` custom<Cache>($cache, type($cache)) attr-dict";
  let hasVerifier = 1;
}

def Attn_RememberOp : Attn_Op<"remember"> {
  let summary = "keep the last rows of an activation";
  let description = [{
    The tail holds the last rows of all tokens so far. Written by `attn-thread-caches` for a short convolution; it
    takes effect behind every read of the tail in the block.
  }];
  let arguments = (ins AnyRankedTensor:$input, Attn_AnyCache:$tail);
  let assemblyFormat = "custom<Value>($input, type($input)) `in` custom<Cache>($tail, type($tail)) attr-dict";
  let hasVerifier = 1;
}

def Attn_AttendOp : Attn_Inferred<"attend", [AttrSizedOperandSegments]> {
  let summary = "causal softmax attention over cached keys and values";
  let description = [{
    What `attn.softmax` becomes when its keys and values, those of the new tokens included, stand in paged caches.
    With `parts`, tokens of sequences that bring few of them are not attended here: their results over parts of the
    keys, made by `attn.attend_part`, are merged; sinks `[H]` join here, once. With `columns c` a value is the first c
    columns of its row: keys and values may then be one cache, whose rows are read once.
  }];
  let arguments = (ins AnyRankedTensor:$query, Attn_AnyCache:$keys, Attn_AnyCache:$values,
                       Optional<AnyRankedTensor>:$parts, Optional<AnyRankedTensor>:$sinks, F64Attr:$scale,
                       OptionalAttr<I64Attr>:$window, OptionalAttr<I64Attr>:$block_size,
                       OptionalAttr<I64Attr>:$local_blocks, OptionalAttr<I64Attr>:$global_tokens,
                       OptionalAttr<F64Attr>:$softcap,
                       OptionalAttr<I64Attr>:$columns);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    custom<Value>($query, type($query)) `,` custom<Cache>($keys, type($keys)) `,` custom<Cache>($values, type($values))
    (`columns` $columns^)? `scale` custom<Number>($scale) (`window` $window^)?
    (`blocks` $block_size^ `local` $local_blocks)? (`global` $global_tokens^)? (`softcap` custom<Number>($softcap)^)?
    (`sinks` custom<OptionalValue>($sinks, type($sinks))^)? (`parts` custom<OptionalValue>($parts, type($parts))^)?
    attr-dict
  }];
  let extraClassDeclaration = [{
    /// Columns of a value.
    int64_t getValueWidth() { return getColumns().value_or(getValues().getType().getShape()[1]); }
    VisibleKeys getVisibleKeys() {
      return {getWindow(), getBlockSize(), getLocalBlocks(), getGlobalTokens()};
    }
    /// Parts of the keys, when they are split.
    int64_t getSplits() {
      auto parts = getParts();
      if (!parts)
        return 1;
      auto type = ::llvm::cast<::mlir::RankedTensorType>(parts.getType());
      return type.getDimSize(2) / (getValueWidth() + 2);
    }
  }];
}

def Attn_AttendPartOp : Attn_Inferred<"attend_part"> {
  let summary = "softmax attention over parts of the keys, for tokens of sequences that bring few";
  let description = [{
    A token that attends to a long past is work for more than one core: the pages of its sequence are dealt out to
    `splits` parts. The result `[T, H, splits * (dv + 2)]` holds of each part the sum of weighted values, relative to
    the part's largest score, that score, and the sum of weights; parts without keys hold nothing that is read. Two
    such results merge by the rule of `spec/attention.md` section 1, which `attn.attend` applies.
  }];
  let arguments = (ins AnyRankedTensor:$query, Attn_AnyCache:$keys, Attn_AnyCache:$values,
                       ConfinedAttr<I64Attr, [IntPositive]>:$splits, F64Attr:$scale,
                       OptionalAttr<I64Attr>:$window, OptionalAttr<I64Attr>:$block_size,
                       OptionalAttr<I64Attr>:$local_blocks, OptionalAttr<I64Attr>:$global_tokens,
                       OptionalAttr<F64Attr>:$softcap,
                       OptionalAttr<I64Attr>:$columns);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    custom<Value>($query, type($query)) `,` custom<Cache>($keys, type($keys)) `,` custom<Cache>($values, type($values))
    (`columns` $columns^)? `splits` $splits `scale` custom<Number>($scale) (`window` $window^)?
    (`blocks` $block_size^ `local` $local_blocks)? (`global` $global_tokens^)? (`softcap` custom<Number>($softcap)^)?
    attr-dict
  }];
  let extraClassDeclaration = [{
    VisibleKeys getVisibleKeys() {
      return {getWindow(), getBlockSize(), getLocalBlocks(), getGlobalTokens()};
    }
    /// Columns of a value.
    int64_t getValueWidth() { return getColumns().value_or(getValues().getType().getShape()[1]); }
  }];
}

def Attn_AbsorbOp : Attn_Inferred<"absorb"> {
  let summary = "queries of latent attention as queries of the latents";
  let description = [{
    `result[t, h] = [W_UK[h]^T query[t, h] | rope[t, h]]`, of r + dr channels: its product with a cached row
    `[c | k_rope]` is that of the head's query with the key that the head would make of c. `kv_b` `[H * (dn + dv), r]`,
    as in `attn.latent_softmax`. Written by `attn-thread-caches`.
  }];
  let arguments = (ins AnyRankedTensor:$query, AnyRankedTensor:$kv_b, Optional<AnyRankedTensor>:$q_rope);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    custom<Value>($query, type($query)) `,` custom<Value>($kv_b, type($kv_b))
    (`rope` custom<OptionalValue>($q_rope, type($q_rope))^)? attr-dict
  }];
}

def Attn_AttendLatentOp : Attn_Inferred<"attend_latent"> {
  let summary = "what heads of latent attention make of attention over cached latents";
  let description = [{
    What `attn.latent_softmax` becomes when its latents stand in pages, one row `[c | k_rope]` for each token. It has two
    forms of equal meaning, and a kernel takes the one that is cheaper for a token:

    * absorbed: `result[t, h] = W_UV[h] absorbed[t, h]`, where `absorbed` `[T, H, r]` is attention of absorbed queries
      (`attn.absorb`) over the latents themselves
    * expanded: keys `[W_UK[h] c | k_rope]` and values `W_UV[h] c` are made of the latents of each page, and the queries
      attend to them
  }];
  let arguments = (ins AnyRankedTensor:$absorbed, AnyRankedTensor:$query, Attn_AnyCache:$latents,
                       AnyRankedTensor:$kv_b, Optional<AnyRankedTensor>:$q_rope, F64Attr:$scale);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    custom<Value>($absorbed, type($absorbed)) `or` custom<Value>($query, type($query)) `,`
    custom<Cache>($latents, type($latents)) `,` custom<Value>($kv_b, type($kv_b))
    (`rope` custom<OptionalValue>($q_rope, type($q_rope))^)? `scale` custom<Number>($scale) attr-dict
  }];
}

//===--------------------------------------------------------------------------------------------------------------===//
// Positions
//===--------------------------------------------------------------------------------------------------------------===//

def Attn_RotaryOp : Attn_Inferred<"rotary"> {
  let summary = "rotary position embedding";
  let description = [{
    Rotates the first `over` channels of every head, in pairs (m, m + over/2), by the angle
    `p * theta^(-2m/over)` of the token's position p; the other channels pass. With `interleaved` the pairs are
    (2m, 2m + 1). Input `[T, H, D]`. (`spec/attention.md` section 4)

    ```mlir
    model.block @rotate(%x: tensor<?x128xf32>) {
      %q = heads %x, 2
      %r = attn.rotary %q theta 10000 over 16
      %y = flatten %r
      yield %y
    }
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, F64Attr:$theta, I64Attr:$over, UnitAttr:$interleaved);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    custom<Value>($input, type($input)) `theta` custom<Number>($theta) `over` $over (`interleaved` $interleaved^)?
    attr-dict
  }];
}

//===--------------------------------------------------------------------------------------------------------------===//
// Mixers
//===--------------------------------------------------------------------------------------------------------------===//

def Attn_ShortConvOp : Attn_Inferred<"short_conv", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<TokenMixerOpInterface>,
    DeclareOpInterfaceMethods<StatefulOpInterface>]> {
  let summary = "short causal depthwise convolution";
  let description = [{
    `result[t, c] = sum_j weight[c, j] input[t - K + 1 + j, c] + bias[c]`, zeros before the sequence. Input `[T, C]`,
    weight `[C, K]` or `[C, 1, K]` as checkpoints store it. (`spec/attention.md` 2.15)
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$weight, Optional<AnyRankedTensor>:$bias,
                       Optional<Attn_AnyCache>:$tail);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    custom<Value>($input, type($input)) `,` custom<Value>($weight, type($weight))
    (`bias` custom<OptionalValue>($bias, type($bias))^)? (`tail` custom<OptionalCache>($tail, type($tail))^)? attr-dict
  }];
  let extraClassDeclaration = [{
    int64_t getTaps() { return ::llvm::cast<::mlir::RankedTensorType>(getWeight().getType()).getShape().back(); }
  }];
}

def Attn_LogDecayOp : Attn_Inferred<"log_decay"> {
  let summary = "log decay of a gated delta rule";
  let description = [{
    `result = -exp(log_rate) * softplus(input + bias)`, at most 0: the logarithm of how much of its state a head keeps
    at a token. With `at_least b` it is `b * sigmoid(exp(log_rate) * (input + bias))`, between b and 0.

    Input `[T, H]` (Gated DeltaNet) or `[T, H, dk]`, a decay per channel (KDA); log_rate (`A_log`) `[H]`; bias
    (`dt_bias`) as many numbers as a token has. (`spec/attention.md` 2.7, 2.8)
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$log_rate, AnyRankedTensor:$bias,
                       OptionalAttr<F64Attr>:$lower_bound);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    custom<Value>($input, type($input)) `rate` custom<Value>($log_rate, type($log_rate)) `bias`
    custom<Value>($bias, type($bias)) (`at_least` custom<Number>($lower_bound)^)? attr-dict
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$input, "::mlir::Value":$logRate, "::mlir::Value":$bias), [{
    build($_builder, $_state, input, logRate, bias, ::mlir::FloatAttr());
  }]>];
}

def Attn_DeltaRuleOp : Attn_Inferred<"delta_rule", [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<TokenMixerOpInterface>, DeclareOpInterfaceMethods<StatefulOpInterface>,
    DeclareOpInterfaceMethods<CostOpInterface>, DeclareOpInterfaceMethods<RecurrenceOpInterface>]> {
  let summary = "delta rule over a sequence: linear attention that corrects what it stored";
  let description = [{
    For every value head h, with its key head `h * Hk / Hv`:

    ```
    S[t] = a[t] S[t-1] + k[t] (b[t] (v[t] - (a[t] S[t-1])^T k[t]))^T         a[t] = exp(decay[t])
    o[t] = S[t]^T q[t] * scale
    ```

    Without `decay` a is 1 (DeltaNet); with `decay` `[T, Hv]` this is Gated DeltaNet, with `[T, Hv, dk]` and
    `Diag(a[t])` in place of a[t] it is KDA. Keys are expected to have at most unit length (`model.l2_norm`). The scale
    is `dk^-1/2` unless given. (`spec/attention.md` 2.6 to 2.8)

    * (C1) query and key `[T, Hk, dk]`
    * (C2) value `[T, Hv, dv]`, Hv a multiple of Hk
    * (C3) beta `[T, Hv]`
    * (C4) decay `[T, Hv]` or `[T, Hv, dk]`, logarithms, at most 0

    ```mlir
    model.block @delta(%x: tensor<?x512xf32>) {
      %w = param "gates.weight" : tensor<4x512xf32>
      %gates = linear %x, %w
      %b, %g = split %gates into 2, 2
      %beta = sigmoid %b
      %q, %k, %v = split %x into 1x128, 1x128, 2x128
      %kn = l2_norm %k
      %o = attn.delta_rule %q, %kn, %v beta %beta decay %g
      %y = concat %q, %k, %o
      yield %y
    }
    ```
  }];
  let arguments = (ins AnyRankedTensor:$query,            /* delta_rule_c1 */
                       AnyRankedTensor:$key,              /* delta_rule_c1 */
                       AnyRankedTensor:$value,            /* delta_rule_c2 */
                       AnyRankedTensor:$beta,             /* delta_rule_c3 */
                       Optional<AnyRankedTensor>:$decay,  /* delta_rule_c4 */
                       Optional<Attn_AnyCache>:$state,
                       OptionalAttr<F64Attr>:$scale,
                       OptionalAttr<I64Attr>:$chunk);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    custom<Value>($query, type($query)) `,` custom<Value>($key, type($key)) `,` custom<Value>($value, type($value))
    `beta` custom<Value>($beta, type($beta)) (`decay` custom<OptionalValue>($decay, type($decay))^)?
    (`scale` custom<Number>($scale)^)? (`chunk` $chunk^)? (`state` custom<OptionalCache>($state, type($state))^)?
    attr-dict
  }];
}

def Attn_SoftmaxOp : Attn_Inferred<"softmax", [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<TokenMixerOpInterface>, DeclareOpInterfaceMethods<StatefulOpInterface>,
    DeclareOpInterfaceMethods<CostOpInterface>]> {
  let summary = "causal softmax attention";
  let description = [{
    For every query head h, with its key head `h * Hk / H`, and every token i:

    ```
    s[i, j] = scale * q[i] . k[j]            for the visible j
    o[i]    = sum_j softmax_j(s[i, :]) v[j]
    ```

    The scale is `dk^-1/2` unless given; `softcap c` replaces s by `c tanh(s / c)`. Visible are

    * all j <= i, unless one of these is given
    * with `window w`, of these the last w
    * with `blocks b local l`, of these the ones in the last l blocks of b tokens, that of the token itself included;
      blocks begin at multiples of b
    * with either and `global g`, the first g tokens of the sequence beside them

    Pages without a visible key are not visited, so a token costs what it sees. `sinks` adds one logit to every softmax of
    head h that has no value: weights sum to less than 1. It is neither scaled nor capped. (`spec/attention.md` section 1)

    * (C1) query `[T, H, dk]`
    * (C2) key `[T, Hk, dk]`, H a multiple of Hk
    * (C3) value `[T, Hk, dv]`
    * (C4) a positive window, or blocks of a positive size, at least one of them, and not both
    * (C5) a positive number of global tokens, and only with a window or blocks
    * (C6) sinks `[H]`
    * (C7) a positive scale and softcap
  }];
  let arguments = (ins AnyRankedTensor:$query, /* softmax_c1 */
                       AnyRankedTensor:$key,   /* softmax_c2 */
                       AnyRankedTensor:$value, /* softmax_c3 */
                       Optional<Attn_AnyCache>:$keys, Optional<Attn_AnyCache>:$values,
                       Optional<AnyRankedTensor>:$sinks,      /* softmax_c6 */
                       OptionalAttr<F64Attr>:$scale,          /* softmax_c7 */
                       OptionalAttr<I64Attr>:$window,         /* softmax_c4 */
                       OptionalAttr<I64Attr>:$block_size,     /* softmax_c4 */
                       OptionalAttr<I64Attr>:$local_blocks,   /* softmax_c4 */
                       OptionalAttr<I64Attr>:$global_tokens,  /* softmax_c5 */
                       OptionalAttr<F64Attr>:$softcap);       /* softmax_c7 */
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    custom<Value>($query, type($query)) `,` custom<Value>($key, type($key)) `,` custom<Value>($value, type($value))
    (`scale` custom<Number>($scale)^)? (`window` $window^)?
    (`blocks` $block_size^ `local` $local_blocks)? (`global` $global_tokens^)? (`softcap` custom<Number>($softcap)^)?
    (`sinks` custom<OptionalValue>($sinks, type($sinks))^)?
    (`keys` custom<OptionalCache>($keys, type($keys))^)? (`values` custom<OptionalCache>($values, type($values))^)?
    attr-dict
  }];
  let extraClassDeclaration = [{
    VisibleKeys getVisibleKeys() {
      return {getWindow(), getBlockSize(), getLocalBlocks(), getGlobalTokens()};
    }
  }];
}

def Attn_LatentSoftmaxOp : Attn_Inferred<"latent_softmax", [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<TokenMixerOpInterface>, DeclareOpInterfaceMethods<StatefulOpInterface>,
    DeclareOpInterfaceMethods<CostOpInterface>]> {
  let summary = "multi-head latent attention: keys and values of all heads made of one latent per token";
  let description = [{
    Of `kv_b` `[H * (dn + dv), r]` each head h has dn + dv rows: W_UK[h], then W_UV[h]. For every head and token i:

    ```
    s[i, j] = scale * (query[i, h] . W_UK[h] latent[j] + q_rope[i, h] . k_rope[j])      for j <= i
    o[i, h] = sum_j softmax_j(s[i, :]) W_UV[h] latent[j]
    ```

    Only the latent and k_rope are kept of a token: r + dr numbers, whatever the number of heads. The latent comes behind
    its norm; q_rope and k_rope carry the position, behind `attn.rotary`, or come as they are ("NoPE"), or are absent.
    The scale is `(dn + dr)^-1/2` unless given, never of r. (`spec/attention.md` 1.9)

    * (C1) query `[T, H, dn]`, the part without a position
    * (C2) latent `[T, r]`
    * (C3) kv_b `[H * (dn + dv), r]`
    * (C4) q_rope `[T, H, dr]` and k_rope `[T, 1, dr]`, both or none

    ```mlir
    model.block @latent(%x: tensor<?x256xf32>) {
      %norm = param "kv_a_layernorm.weight" : tensor<64xf32>
      %kv_b = param "kv_b_proj.weight" : tensor<128x64xf32>
      %q, %kv, %rest = split %x into 2x48, 80, 80
      %qn, %qr = split %q into 32, 16
      %a, %kr = split %kv into 64, 1x16
      %c = rms_norm %a, %norm
      %o = attn.latent_softmax %qn, %c, %kv_b rope %qr, %kr
      yield %x
    }
    ```
  }];
  let arguments = (ins AnyRankedTensor:$query,            /* latent_softmax_c1 */
                       AnyRankedTensor:$latent,           /* latent_softmax_c2 */
                       AnyRankedTensor:$kv_b,             /* latent_softmax_c3 */
                       Optional<AnyRankedTensor>:$q_rope, /* latent_softmax_c4 */
                       Optional<AnyRankedTensor>:$k_rope, /* latent_softmax_c4 */
                       Optional<Attn_AnyCache>:$latents,
                       OptionalAttr<F64Attr>:$scale);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    custom<Value>($query, type($query)) `,` custom<Value>($latent, type($latent)) `,` custom<Value>($kv_b, type($kv_b))
    (`rope` custom<OptionalValue>($q_rope, type($q_rope))^ `,` custom<OptionalValue>($k_rope, type($k_rope)))?
    (`scale` custom<Number>($scale)^)? (`latents` custom<OptionalCache>($latents, type($latents))^)? attr-dict
  }];
  let extraClassDeclaration = [{
    /// Channels of the key that all heads share; 0 without one.
    int64_t getRopeWidth() {
      return getQRope() ? ::llvm::cast<::mlir::RankedTensorType>(getQRope().getType()).getDimSize(2) : 0;
    }
  }];
}

include "dialects/attn/ir/RecurrenceOps.td"
#endif
