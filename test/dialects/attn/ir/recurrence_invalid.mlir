// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @recurrence_c1_rank(%x: tensor<?x64xf32>) {
  %q, %k, %v = split %x into 1x16, 1x16, 1x32
  %w = param "w" : tensor<2x2xf32>
  // expected-error @below {{expected operands of shape [T, H, D], [T, H] or [H], but got 'tensor<2x2xf32>'}}
  %o = attn.recurrence (%s : 16x32, %q = %q, %k = %k, %v = %v, %w = %w) {
    %n = write %s, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  yield %x
}

// -----

model.block @recurrence_c1(%x: tensor<?x128xf32>) {
  %q, %k, %v, %rest = split %x into 2x16, 2x16, 3x16, 16
  // expected-error @below {{expected operands whose heads divide 3, but got 'tensor<?x2x16xf32>'}}
  %o = attn.recurrence (%s : 16x16, %q = %q, %k = %k, %v = %v) {
    %n = write %s, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  yield %x
}

// -----

model.block @recurrence_c2(%x: tensor<?x16xf32>) {
  %h = heads %x, 1
  // expected-error @below {{expected 'tensor<16xf32>' as the share of 'tensor<?x1x16xf32>', but got 'tensor<8xf32>'}}
  %o = "attn.recurrence"(%h) <{operandSegmentSizes = array<i32: 1, 0>}> ({
  ^bb0(%s: tensor<8x8xf32>, %k: tensor<8xf32>):
    "attn.yield"(%s, %k) : (tensor<8x8xf32>, tensor<8xf32>) -> ()
  }) : (tensor<?x1x16xf32>) -> tensor<?x1x8xf32>
  yield %x
}

// -----

model.block @recurrence_c2_count(%x: tensor<?x16xf32>) {
  %h = heads %x, 1
  // expected-error @below {{expected a region with a state and 1 shares of operands, but got 1 arguments}}
  %o = "attn.recurrence"(%h) <{operandSegmentSizes = array<i32: 1, 0>}> ({
  ^bb0(%s: tensor<8x8xf32>):
    %k = "attn.decay"(%s) <{rates = array<f64: 0.0>}> : (tensor<8x8xf32>) -> tensor<8x8xf32>
    "attn.yield"(%k, %k) : (tensor<8x8xf32>, tensor<8x8xf32>) -> ()
  }) : (tensor<?x1x16xf32>) -> tensor<?x1x8xf32>
  yield %x
}

// -----

model.block @recurrence_c3(%x: tensor<?x64xf32>) {
  %q, %k, %v = split %x into 1x16, 1x16, 1x32
  %o = attn.recurrence (%s : 16x32, %q = %q, %k = %k, %v = %v) {
    // expected-error @below {{expected a state of type 'tensor<16x32xf32>' and an output of type 'tensor<32xf32>', but got 'tensor<16x32xf32>' and 'tensor<16xf32>'}}
    yield %s, %q
  }
  yield %x
}

// -----

// Refused at its own place, not where the result is used.
model.block @recurrence_c3_swapped(%x: tensor<?x64xf32>) {
  %q, %k, %v = split %x into 1x16, 1x16, 1x32
  %norm = param "norm" : tensor<32xf32>
  %o = attn.recurrence (%s : 16x32, %q = %q, %k = %k, %v = %v) {
    %y = read %s, %q
    // expected-error @below {{expected a state of type 'tensor<16x32xf32>' and an output of type 'tensor<32xf32>', but got 'tensor<32xf32>' and 'tensor<16x32xf32>'}}
    yield %y, %s
  }
  %n = rms_norm %o, %norm
  yield %x
}

// -----

model.block @recurrence_c4_count(%x: tensor<?x128xf32>) {
  %q, %k, %v = split %x into 2x16, 2x16, 2x32
  %o = attn.recurrence (%s : 16x32, %q = %q, %k = %k, %v = %v) {
    // expected-error @below {{expected a number for each of 2 heads, but got 1}}
    %d = decay %s, [-0.5]
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  yield %x
}

// -----

model.block @recurrence_c4(%x: tensor<?x128xf32>) {
  %q, %k, %v = split %x into 2x16, 2x16, 2x32
  %o = attn.recurrence (%s : 16x32, %q = %q, %k = %k, %v = %v) {
    // expected-error @below {{expected log decays of at most 0, but got 5.0}}
    %d = decay %s, [-0.5, 0.5]
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  yield %x
}

// -----

model.block @decay_of_values(%x: tensor<?x64xf32>) {
  %q, %k, %v = split %x into 1x16, 1x16, 1x32
  %o = attn.recurrence (%s : 16x32, %q = %q, %k = %k, %v = %v) {
    // expected-error @below {{expected a decay of 16 channels, but got 'tensor<32xf32>'}}
    %d = decay %s, %v
    yield %d, %v
  }
  yield %x
}

// -----

model.block @read_along_values(%x: tensor<?x64xf32>) {
  %q, %k, %v = split %x into 1x16, 1x16, 1x32
  %o = attn.recurrence (%s : 16x32, %q = %q, %k = %k, %v = %v) {
    // expected-error @below {{expected a key of 16 channels, but got 'tensor<32xf32>'}}
    %y = read %s, %v
    yield %s, %y
  }
  yield %x
}

// -----

model.block @write_of_keys(%x: tensor<?x64xf32>) {
  %q, %k, %v = split %x into 1x16, 1x16, 1x32
  %o = attn.recurrence (%s : 16x32, %q = %q, %k = %k, %v = %v) {
    // expected-error @below {{expected a value of 32 channels, but got 'tensor<16xf32>'}}
    %n = write %s, %k, %q
    yield %n, %v
  }
  yield %x
}

// -----

model.block @state_as_vector(%x: tensor<?x64xf32>) {
  %q, %k, %v = split %x into 1x16, 1x16, 1x32
  %o = attn.recurrence (%s : 16x32, %q = %q, %k = %k, %v = %v) {
    // expected-error @below {{expected a state, but got 'tensor<32xf32>'}}
    %n = write %v, %k, %v
    yield %n, %v
  }
  yield %x
}

// -----

model.block @lengths(%x: tensor<?x64xf32>) {
  %q, %k, %v = split %x into 1x16, 1x16, 1x32
  %o = attn.recurrence (%s : 16x32, %q = %q, %k = %k, %v = %v) {
    // expected-error @below {{expected two vectors of one length, or a number and a vector, but got 'tensor<16xf32>' and 'tensor<32xf32>'}}
    %n = add %k, %v
    yield %s, %n
  }
  yield %x
}

// -----

model.block @state_of_one_extent(%x: tensor<?x64xf32>) {
  %q, %k, %v = split %x into 1x16, 1x16, 1x32
  // expected-error @below {{expected a state of two extents, as 64x64}}
  %o = attn.recurrence (%s : 16, %q = %q) {
    yield %s, %q
  }
  yield %x
}

// -----

model.block @scaled_state(%x: tensor<?x64xf32>) {
  %q, %k, %v = split %x into 1x16, 1x16, 1x32
  %o = attn.recurrence (%s : 16x32, %q = %q, %k = %k, %v = %v) {
    // expected-error @below {{expected a vector or a number, but got 'tensor<16x32xf32>'}}
    %n = scale %s, 2
    yield %n, %v
  }
  yield %x
}

// -----

model.block @without_yield(%x: tensor<?x16xf32>) {
  %q = heads %x, 1
  // expected-error @below {{expected a region that ends with yield}}
  %o = attn.recurrence (%s : 16x16, %q = %q) {
    %y = read %s, %q
  }
  yield %x
}

// -----

model.block @outside_of_a_recurrence(%x: tensor<?x16xf32>) {
  // expected-error @below {{expects parent op 'attn.recurrence'}}
  %s = "attn.scale"(%x) <{factor = 2.0}> : (tensor<?x16xf32>) -> tensor<?x16xf32>
  yield %x
}
