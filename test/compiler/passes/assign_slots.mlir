// RUN: denim-opt %s --assign-slots | FileCheck %s
// RUN: denim-opt %s --assign-slots --assign-slots | FileCheck %s

plan.kernel @double(%x: tensor<?x16xf32>) attributes {kind = "rows"} {
  %y = model.scale %x, 2
  plan.yield %y : tensor<?x16xf32>
}
plan.kernel @sum(%x: tensor<?x16xf32>, %y: tensor<?x16xf32>) attributes {kind = "rows"} {
  %z = model.add %x, %y
  plan.yield %z : tensor<?x16xf32>
}
plan.kernel @embed(%ids: tensor<?xi32>, %table: tensor<32x16xf32>) attributes {kind = "rows"} {
  %x = model.embed %ids, %table
  plan.yield %x : tensor<?x16xf32>
}
plan.kernel @pick(%x: tensor<?x16xf32>) attributes {kind = "rows", rows = "outputs"} {
  %y = model.select %x
  plan.yield %y : tensor<?x16xf32>
}
plan.kernel @head(%x: tensor<?x16xf32>, %table: tensor<32x16xf32>) attributes {kind = "linear", rows = "outputs"} {
  %y = model.linear %x, %table
  plan.yield %y : tensor<?x32xf32>
}
plan.kernel @nothing(%x: tensor<?x16xf32>, %c: !attn.cache<tail 3x16xf32>) attributes {kind = "cache"} {
  attn.remember %x in %c
  plan.yield
}

// The stream begins in slot 0; a slot is free again behind its last reader.
// CHECK-LABEL: plan.program @chain
plan.program @chain(%x: tensor<?x16xf32>) {
  // CHECK-NEXT: plan.launch @double({{.*}}) slots [1]
  %a = plan.launch @double(%x) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  // CHECK-NEXT: plan.launch @double({{.*}}) slots [0]
  %b = plan.launch @double(%a) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  // CHECK-NEXT: plan.launch @double({{.*}}) slots [1]
  %c = plan.launch @double(%b) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  // The result is the stream again.
  // CHECK-NEXT: plan.launch @double({{.*}}) slots [0]
  %d = plan.launch @double(%c) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  plan.return %d : tensor<?x16xf32>
}

// A value that is read late keeps its slot, and slot 0 is kept for the result.
// CHECK-LABEL: plan.program @late
plan.program @late(%x: tensor<?x16xf32>) {
  // CHECK-NEXT: plan.launch @double({{.*}}) slots [1]
  %a = plan.launch @double(%x) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  // CHECK-NEXT: plan.launch @double({{.*}}) slots [2]
  %b = plan.launch @double(%a) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  // CHECK-NEXT: plan.launch @sum({{.*}}) slots [0]
  %c = plan.launch @sum(%a, %b) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  plan.return %c : tensor<?x16xf32>
}

// A launch without results has no slots.
// CHECK-LABEL: plan.program @cache_only
plan.program @cache_only(%x: tensor<?x16xf32>) {
  %t = attn.cache "tail" : !attn.cache<tail 3x16xf32>
  // CHECK: plan.launch @nothing({{[^)]*}}) :
  plan.launch @nothing(%x, %t) : (tensor<?x16xf32>, !attn.cache<tail 3x16xf32>) -> ()
  plan.return %x : tensor<?x16xf32>
}

// CHECK-LABEL: plan.program @net_embed
plan.program @net_embed(%ids: tensor<?xi32>) {
  %table = model.param "table" : tensor<32x16xf32>
  // CHECK: plan.launch @embed({{.*}}) slots [0]
  %x = plan.launch @embed(%ids, %table) : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
  plan.return %x : tensor<?x16xf32>
}

// Rows per output have slots of their own.
// CHECK-LABEL: plan.program @net_head
plan.program @net_head(%x: tensor<?x16xf32>) {
  %table = model.param "table" : tensor<32x16xf32>
  // CHECK: plan.launch @pick({{.*}}) slots [3]
  %p = plan.launch @pick(%x) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  // CHECK-NEXT: plan.launch @head({{.*}}) slots [4]
  %y = plan.launch @head(%p, %table) : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
  plan.return %y : tensor<?x32xf32>
}

// CHECK: plan.schedule @net
// CHECK-SAME: slots [{row_bytes = 64 : i64, rows = "tokens"}, {row_bytes = 64 : i64, rows = "tokens"},
// CHECK-SAME: {row_bytes = 64 : i64, rows = "tokens"}, {row_bytes = 64 : i64, rows = "outputs"},
// CHECK-SAME: {row_bytes = 128 : i64, rows = "outputs"}] logits 4
plan.schedule @net programs [@net_embed, @chain, @late, @cache_only, @net_head] prefixes ["", "0.", "1.", "2.", ""]
  layers [-1, 0, 1, 2, -1] vocabulary 32 eos []
