// One block for each golden file of softmax attention, by its name, fed as those of golden_recurrences.mlir.

model.block @softmax_mha(%x: tensor<?x224xf32>) {
  %query, %key, %value = split %x into 4x16, 4x16, 4x24
  %o = attn.softmax %query, %key, %value
  %y = concat %o, %query, %key
  yield %y
}

model.block @softmax_gqa(%x: tensor<?x144xf32>) {
  %query, %key, %value = split %x into 4x16, 2x16, 2x24
  %o = attn.softmax %query, %key, %value
  %y = concat %o, %value
  yield %y
}

model.block @softmax_mqa(%x: tensor<?x104xf32>) {
  %query, %key, %value = split %x into 4x16, 1x16, 1x24
  %o = attn.softmax %query, %key, %value
  %rest, %a = split %x into 96, 8
  %y = concat %o, %a
  yield %y
}

model.block @softmax_sliding_window(%x: tensor<?x144xf32>) {
  %query, %key, %value = split %x into 4x16, 2x16, 2x24
  %o = attn.softmax %query, %key, %value window 17
  %y = concat %o, %value
  yield %y
}

model.block @softmax_softcap(%x: tensor<?x144xf32>) {
  %query, %key, %value = split %x into 4x16, 2x16, 2x24
  %o = attn.softmax %query, %key, %value softcap 3
  %y = concat %o, %value
  yield %y
}

model.block @softmax_sinks(%x: tensor<?x144xf32>) {
  %sinks = param "sinks" : tensor<4xf32>
  %query, %key, %value = split %x into 4x16, 2x16, 2x24
  %o = attn.softmax %query, %key, %value sinks %sinks
  %y = concat %o, %value
  yield %y
}

model.block @softmax_sinks_window(%x: tensor<?x144xf32>) {
  %sinks = param "sinks" : tensor<4xf32>
  %query, %key, %value = split %x into 4x16, 2x16, 2x24
  %o = attn.softmax %query, %key, %value window 17 sinks %sinks
  %y = concat %o, %value
  yield %y
}

model.block @softmax_block_sparse(%x: tensor<?x144xf32>) {
  %query, %key, %value = split %x into 4x16, 2x16, 2x24
  %o = attn.softmax %query, %key, %value blocks 16 local 2 global 5
  %y = concat %o, %value
  yield %y
}

model.block @softmax_gated(%x: tensor<?x240xf32>) {
  %query, %key, %value, %gate = split %x into 4x16, 2x16, 2x24, 4x24
  %a = attn.softmax %query, %key, %value
  %g = sigmoid %gate
  %o = mul %a, %g
  %y = concat %o, %gate, %value
  yield %y
}
