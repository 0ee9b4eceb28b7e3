// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @flat_gate(%x: tensor<?x64xf32>) {
  %s, %rest = split %x into 6, 58
  %w, %e = route %s top 2
  %gate = param "gate" : tensor<6x32x64xbf16>
  %up = param "up" : tensor<6x32x64xbf16>
  %down = param "down" : tensor<6x64x32xbf16>
  %flat = param "flat" : tensor<32x64xbf16>
  // expected-error @below {{expected an input [T, hidden] and a gate [E, I, hidden], but got 'tensor<?x64xf32>' and 'tensor<32x64xbf16>'}}
  %y = experts %x, %w, %e gate %flat up %up down %down
  yield %x
}

// -----

model.block @weights_for_experts(%x: tensor<?x64xf32>) {
  %s, %rest = split %x into 6, 58
  %w, %e = route %s top 2
  %gate = param "gate" : tensor<6x32x64xbf16>
  %up = param "up" : tensor<6x32x64xbf16>
  %down = param "down" : tensor<6x64x32xbf16>
  // expected-error @below {{expected one expert of i32 per weight, but got 'tensor<?x2xf32>' and 'tensor<?x2xf32>'}}
  %y = experts %x, %w, %w gate %gate up %up down %down
  yield %x
}

// -----

model.block @other_hidden(%x: tensor<?x64xf32>) {
  %s, %rest = split %x into 6, 58
  %w, %e = route %s top 2
  %gate = param "gate" : tensor<6x32x64xbf16>
  %up = param "up" : tensor<6x32x64xbf16>
  %down = param "down" : tensor<6x64x32xbf16>
  %wide = param "wide" : tensor<6x32x128xbf16>
  // expected-error @below {{expected a gate of shape 'tensor<6x32x64xbf16>', but got 'tensor<6x32x128xbf16>'}}
  %y = experts %x, %w, %e gate %wide up %up down %down
  yield %x
}

// -----

model.block @fewer_ups(%x: tensor<?x64xf32>) {
  %s, %rest = split %x into 6, 58
  %w, %e = route %s top 2
  %gate = param "gate" : tensor<6x32x64xbf16>
  %up = param "up" : tensor<6x32x64xbf16>
  %down = param "down" : tensor<6x64x32xbf16>
  %few = param "few" : tensor<5x32x64xbf16>
  // expected-error @below {{expected an up projection of shape 'tensor<6x32x64xbf16>', but got 'tensor<5x32x64xbf16>'}}
  %y = experts %x, %w, %e gate %gate up %few down %down
  yield %x
}

// -----

model.block @down_as_up(%x: tensor<?x64xf32>) {
  %s, %rest = split %x into 6, 58
  %w, %e = route %s top 2
  %gate = param "gate" : tensor<6x32x64xbf16>
  %up = param "up" : tensor<6x32x64xbf16>
  %down = param "down" : tensor<6x64x32xbf16>
  // expected-error @below {{expected a down projection of shape 'tensor<6x64x32xbf16>', but got 'tensor<6x32x64xbf16>'}}
  %y = experts %x, %w, %e gate %gate up %up down %up
  yield %x
}
