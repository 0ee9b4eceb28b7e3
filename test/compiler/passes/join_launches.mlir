// RUN: denim-opt %s --split-input-file --join-launches | FileCheck %s

// A tail that nobody waits for goes beside the later launch with most items, new keys beside the rows in front of attention that
// reads them. Items behind those of the first are the others'; constants are numbered anew. In steps of more tokens all is as it
// was, and what only steps of one token needed is gone.
// CHECK-LABEL: module attributes {plan.machine = "cuda"}
// CHECK-NOT: tile.kernel @few_rows(
// CHECK: tile.kernel @few_rows_tail(%[[X0:[a-z0-9]+]]: !tile.memory<16xf32>, %[[W:[a-z0-9]+]]: !tile.memory<16xf32>, %[[X1:[a-z0-9]+]]: !tile.memory<16xf32>, %[[SLOTS:[a-z0-9]+]]: !tile.slots<16xf32>, %[[Y:[a-z0-9]+]]: !tile.memory<16xf32>)
// CHECK-SAME: items <tokens by 1 times 12> at %[[ITEM:[a-z0-9]+]] attributes {tile.constants = array<i64: 1>, tile.warps = 8 : i64}
// CHECK: %[[EIGHT:.*]] = arith.constant 8 : index
// CHECK: %[[OWN:.*]] = arith.cmpi slt, %[[ITEM]], %[[EIGHT]]
// CHECK: scf.if %[[OWN]]
// CHECK: tile.load %[[W]][%[[ITEM]],
// CHECK: tile.store {{.*}} %[[Y]][%[[ITEM]],
// CHECK: } else {
// CHECK: %[[REST:.*]] = arith.subi %[[ITEM]], %[[EIGHT]]
// CHECK: tile.load %[[X1]][%[[REST]],
// CHECK: tile.slot %[[SLOTS]]
// CHECK: plan.program @layer
// CHECK: %[[A:.*]] = plan.launch @reader(
// CHECK: %[[B:.*]] = plan.launch @small(%[[A]]
// CHECK: %[[C:.*]] = plan.launch @few_rows_tail(%[[B]], %{{.*}}, %[[A]], %[[T:.*]]) slots [2] {when = {least = 1 : i64, most = 1 : i64, of = "rows"}}
// CHECK-NEXT: %[[D:.*]] = plan.launch @many_rows(
// CHECK: plan.merge %[[C]], %[[D]]
// CHECK: plan.launch @tail(%[[A]], %[[T]]) {when = {least = 1 : i64, most = 2147483647 : i64, of = "sequence", tokens = 2 : i64}}
module attributes {plan.machine = "cuda"} {
  tile.kernel @reader(%x: !tile.memory<16xf32>, %t: !tile.slots<16xf32>, %y: !tile.memory<16xf32>) items <tokens by 1 times 64> at %item {
    %c0 = arith.constant 0 : index
    %own = tile.slot %t[%c0] : !tile.slots<16xf32> -> !tile.memory<16xf32>
    %v = tile.load %own[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %y[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @small(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %y[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @few_rows(%x: !tile.memory<16xf32>, %w: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <tokens by 1 times 8> at %item attributes {tile.constants = array<i64: 1>, tile.warps = 8 : i64} {
    %c0 = arith.constant 0 : index
    %v = tile.load %w[%item, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %y[%item, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @many_rows(%x: !tile.memory<16xf32>, %w: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <tokens by 16 times 1> at %item {
  }
  tile.kernel @tail(%x: !tile.memory<16xf32>, %t: !tile.slots<16xf32>) items <sequences by 1 times 4> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%item, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    %own = tile.slot %t[%c0] : !tile.slots<16xf32> -> !tile.memory<16xf32>
    tile.store %v, %own[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  plan.program @layer(%x: tensor<?x16xf32>) {
    %t = attn.cache "tail" : !attn.cache<tail 3x16xf32>
    %w = model.param "w" : tensor<16x16xf32>
    %a = plan.launch @reader(%x, %t) slots [1] : (tensor<?x16xf32>, !attn.cache<tail 3x16xf32>) -> tensor<?x16xf32>
    %b = plan.launch @small(%a) slots [3] : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %c = plan.launch @few_rows(%b, %w) slots [2] {when = {of = "rows", least = 1, most = 1}} : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
    %d = plan.launch @many_rows(%b, %w) slots [2] {when = {of = "rows", least = 2, most = 2147483647}} : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
    %e = plan.merge %c, %d : tensor<?x16xf32>
    plan.launch @tail(%a, %t) : (tensor<?x16xf32>, !attn.cache<tail 3x16xf32>) -> ()
    plan.return %e : tensor<?x16xf32>
  }
}

// -----

// Rows of every pass lead two launches: those of one token are a launch of their own. A launch that reads the cache stands
// between the second pair, and what is written is made by the launch in question in the third.
// CHECK-LABEL: module attributes {plan.machine = "cuda"}
// CHECK: tile.kernel @rows_put_put(
// CHECK-SAME: items <tokens by 1 times 5>
// CHECK: plan.program @two
// CHECK: %[[ONE:.*]] = plan.launch @rows_put_put(%[[X:.*]], %[[X]], %{{.*}}, %[[X]], %{{.*}}) slots [1] {when = {least = 1 : i64, most = 1 : i64, of = "rows"}}
// CHECK-NEXT: %[[MORE:.*]] = plan.launch @rows(%[[X]]) slots [1] {when = {least = 2 : i64, most = 2147483647 : i64, of = "rows"}}
// CHECK-NEXT: plan.merge %[[ONE]], %[[MORE]]
// CHECK: plan.launch @put({{.*}}) {when = {least = 1 : i64, most = 16 : i64, of = "sequence", tokens = 2 : i64}}
// CHECK: plan.launch @put({{.*}}) {when = {least = 1 : i64, most = 16 : i64, of = "sequence", tokens = 2 : i64}}
// CHECK: plan.program @between
// CHECK: plan.launch @rows(
// CHECK-NEXT: plan.launch @reader(
// CHECK-NEXT: plan.launch @put({{.*}}) {when = {least = 1 : i64, most = 16 : i64, of = "sequence"}}
// CHECK: plan.program @made
// CHECK: plan.launch @rows(
// CHECK-NEXT: plan.launch @put({{.*}}) {when = {least = 1 : i64, most = 16 : i64, of = "sequence"}}
module attributes {plan.machine = "cuda"} {
  tile.kernel @rows(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <tokens by 16 times 3> at %item {
  }
  tile.kernel @put(%x: !tile.memory<16xf32>, %k: !tile.pages<1x64x16xf32>) items <sequences by 1 times 1> at %item {
  }
  tile.kernel @reader(%x: !tile.memory<16xf32>, %k: !tile.pages<1x64x16xf32>, %y: !tile.memory<16xf32>) items <tokens by 1 times 1> at %item {
  }
  plan.program @two(%x: tensor<?x16xf32>) {
    %y = plan.launch @rows(%x) slots [1] : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %k = attn.cache "k" : !attn.cache<paged 1x16xf32>
    plan.launch @put(%x, %k) {when = {of = "sequence", least = 1, most = 16}} : (tensor<?x16xf32>, !attn.cache<paged 1x16xf32>) -> ()
    %v = attn.cache "v" : !attn.cache<paged 1x16xf32>
    plan.launch @put(%x, %v) {when = {of = "sequence", least = 1, most = 16}} : (tensor<?x16xf32>, !attn.cache<paged 1x16xf32>) -> ()
    plan.return %y : tensor<?x16xf32>
  }
  plan.program @between(%x: tensor<?x16xf32>) {
    %k = attn.cache "k" : !attn.cache<paged 1x16xf32>
    %y = plan.launch @rows(%x) slots [1] : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %z = plan.launch @reader(%y, %k) slots [2] : (tensor<?x16xf32>, !attn.cache<paged 1x16xf32>) -> tensor<?x16xf32>
    plan.launch @put(%x, %k) {when = {of = "sequence", least = 1, most = 16}} : (tensor<?x16xf32>, !attn.cache<paged 1x16xf32>) -> ()
    plan.return %z : tensor<?x16xf32>
  }
  plan.program @made(%x: tensor<?x16xf32>) {
    %k = attn.cache "k" : !attn.cache<paged 1x16xf32>
    %y = plan.launch @rows(%x) slots [1] : (tensor<?x16xf32>) -> tensor<?x16xf32>
    plan.launch @put(%y, %k) {when = {of = "sequence", least = 1, most = 16}} : (tensor<?x16xf32>, !attn.cache<paged 1x16xf32>) -> ()
    plan.return %y : tensor<?x16xf32>
  }
}

// -----

// A tile that the threads of the other kernel could not hold: 16 rows of 1024 columns are 128 registers of 128 threads.
// CHECK-LABEL: module attributes {plan.machine = "cuda"}
// CHECK: plan.launch @rows({{.*}}) slots [1] : (
// CHECK-NEXT: plan.launch @large({{.*}}) : (
module attributes {plan.machine = "cuda"} {
  tile.kernel @rows(%x: !tile.memory<1024xf32>, %y: !tile.memory<1024xf32>) items <tokens by 16 times 3> at %item {
  }
  tile.kernel @large(%x: !tile.memory<1024xf32>, %t: !tile.slots<1024xf32>) items <sequences by 1 times 1> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%item, %c0] : !tile.memory<1024xf32> -> !tile.tile<3x1024xf32>
    %own = tile.slot %t[%c0] : !tile.slots<1024xf32> -> !tile.memory<1024xf32>
    tile.store %v, %own[%c0, %c0] : !tile.tile<3x1024xf32>, !tile.memory<1024xf32>
  }
  plan.program @p(%x: tensor<?x1024xf32>) {
    %t = attn.cache "t" : !attn.cache<tail 3x1024xf32>
    %y = plan.launch @rows(%x) slots [1] : (tensor<?x1024xf32>) -> tensor<?x1024xf32>
    plan.launch @large(%x, %t) : (tensor<?x1024xf32>, !attn.cache<tail 3x1024xf32>) -> ()
    plan.return %y : tensor<?x1024xf32>
  }
}

// -----

// Threads of a CPU find work in one launch.
// CHECK-LABEL: module attributes {plan.machine = "cpu"}
// CHECK: plan.launch @rows({{.*}}) slots [1] : (
// CHECK-NEXT: plan.launch @put({{.*}}) : (
module attributes {plan.machine = "cpu"} {
  tile.kernel @rows(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <tokens by 16 times 3> at %item {
  }
  tile.kernel @put(%x: !tile.memory<16xf32>, %k: !tile.pages<1x64x16xf32>) items <sequences by 1 times 1> at %item {
  }
  plan.program @p(%x: tensor<?x16xf32>) {
    %k = attn.cache "k" : !attn.cache<paged 1x16xf32>
    %y = plan.launch @rows(%x) slots [1] : (tensor<?x16xf32>) -> tensor<?x16xf32>
    plan.launch @put(%x, %k) : (tensor<?x16xf32>, !attn.cache<paged 1x16xf32>) -> ()
    plan.return %y : tensor<?x16xf32>
  }
}
