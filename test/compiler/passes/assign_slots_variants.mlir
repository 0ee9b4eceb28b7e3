// RUN: denim-opt %s --assign-slots | FileCheck %s

plan.kernel @narrow(%x: tensor<?x16xf32>) attributes {kind = "rows"} {
  %y = model.scale %x, 2
  %r = plan.cast %y : tensor<?x16xf32> to tensor<?x16xbf16>
  plan.yield %r : tensor<?x16xbf16>
}
plan.kernel @again(%x: tensor<?x16xbf16>) attributes {kind = "rows"} {
  plan.yield %x : tensor<?x16xbf16>
}
plan.kernel @wide(%x: tensor<?x16xbf16>) attributes {kind = "rows"} {
  %y = plan.cast %x : tensor<?x16xbf16> to tensor<?x16xf32>
  plan.yield %y : tensor<?x16xf32>
}
plan.kernel @head(%x: tensor<?x16xf32>) attributes {kind = "rows", rows = "outputs"} {
  %y = model.select %x
  plan.yield %y : tensor<?x16xf32>
}

// Values of two types do not share a slot: the stream's is free while %c is written, but f32.
// CHECK-LABEL: plan.program @types
plan.program @types(%x: tensor<?x16xf32>) {
  // CHECK-NEXT: plan.launch @narrow({{.*}}) slots [1]
  %a = plan.launch @narrow(%x) : (tensor<?x16xf32>) -> tensor<?x16xbf16>
  // CHECK-NEXT: plan.launch @again({{.*}}) slots [2]
  %b = plan.launch @again(%a) : (tensor<?x16xbf16>) -> tensor<?x16xbf16>
  // CHECK-NEXT: plan.launch @again({{.*}}) slots [1]
  %c = plan.launch @again(%b) : (tensor<?x16xbf16>) -> tensor<?x16xbf16>
  // CHECK-NEXT: plan.launch @wide({{.*}}) slots [0]
  %d = plan.launch @wide(%c) : (tensor<?x16xbf16>) -> tensor<?x16xf32>
  plan.return %d : tensor<?x16xf32>
}

// Merged values have one slot, which is theirs from the first launch on: the other way may not use it in between.
// CHECK-LABEL: plan.program @merged
plan.program @merged(%x: tensor<?x16xf32>) {
  // CHECK-NEXT: plan.launch @narrow({{.*}}) slots [1]
  %a = plan.launch @narrow(%x) : (tensor<?x16xf32>) -> tensor<?x16xbf16>
  // CHECK-NEXT: plan.launch @again({{.*}}) slots [2] {when
  %few = plan.launch @again(%a) {when = {of = "rows", least = 1, most = 4}} : (tensor<?x16xbf16>) -> tensor<?x16xbf16>
  // CHECK-NEXT: plan.launch @again({{.*}}) slots [3] {when
  %b = plan.launch @again(%a) {when = {of = "rows", least = 5, most = 9}} : (tensor<?x16xbf16>) -> tensor<?x16xbf16>
  // CHECK-NEXT: plan.launch @again({{.*}}) slots [2] {when
  %many = plan.launch @again(%b) {when = {of = "rows", least = 5, most = 9}} : (tensor<?x16xbf16>) -> tensor<?x16xbf16>
  // CHECK-NEXT: plan.merge
  %m = plan.merge %few, %many : tensor<?x16xbf16>
  // CHECK-NEXT: plan.launch @wide({{.*}}) slots [0]
  %d = plan.launch @wide(%m) : (tensor<?x16xbf16>) -> tensor<?x16xf32>
  plan.return %d : tensor<?x16xf32>
}

// CHECK-LABEL: plan.program @end
plan.program @end(%x: tensor<?x16xf32>) {
  // CHECK-NEXT: plan.launch @head({{.*}}) slots [4]
  %y = plan.launch @head(%x) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  plan.return %y : tensor<?x16xf32>
}

// CHECK: slots [{row_bytes = 64 : i64, rows = "tokens"}, {row_bytes = 32 : i64, rows = "tokens", type = "bf16"},
// CHECK-SAME: {row_bytes = 32 : i64, rows = "tokens", type = "bf16"}, {row_bytes = 32 : i64, rows = "tokens", type = "bf16"},
// CHECK-SAME: {row_bytes = 64 : i64, rows = "outputs"}] logits 4
plan.schedule @net programs [@types, @merged, @end] prefixes ["0.", "1.", ""] layers [0, 1, -1] vocabulary 16 eos []
