#include "test/codegen/cpu/TilePrograms.h"
#include <fmt/format.h>

static std::string tile(int rows, int columns) {
  return fmt::format("!tile.tile<{}x{}xf32>", rows, columns);
}

std::string denim::test::attention(const std::string &name, int queries, int keys, int block, int width, int stored) {
  return fmt::format(fmt::runtime(R"(
    tile.kernel @{name}(%Q: {memory}, %K: {memory}, %V: {memory}, %O: {memory}) items <once by 1 times 1> at %item {{
      %c0 = arith.constant 0 : index
      %block = arith.constant {block} : index
      %keys = arith.constant {keys} : index
      %zero = arith.constant 0.0 : f32
      %low = arith.constant 0xFF800000 : f32
      %q = tile.load %Q[%c0, %c0] : {memory} -> {qd}
      %o0 = tile.splat %zero : f32 -> {qd}
      %l0 = tile.splat %zero : f32 -> {q1}
      %m0 = tile.splat %low : f32 -> {q1}
      %o, %l, %m = scf.for %j = %c0 to %keys step %block iter_args(%oi = %o0, %li = %l0, %mi = %m0)
          -> ({qd}, {q1}, {q1}) {{
        %k = tile.load %K[%j, %c0] : {memory} -> {kd}
        %v = tile.load %V[%j, %c0] : {memory} -> {kd}
        %s = tile.mma %q, transpose_rhs %k : {qd}, {kd} -> {qk}
        %mx = tile.reduce max %s along 1 : {qk} -> {q1}
        %mn = tile.map (%a = %mx : {q1}, %b = %mi : {q1}) -> {q1} {{
          %r = arith.maximumf %a, %b : f32
          tile.yield %r : f32
        }}
        %p = tile.map (%a = %s : {qk}, %b = %mn : {q1}) -> {qk} {{
          %d = arith.subf %a, %b : f32
          %e = math.exp %d : f32
          tile.yield %e : f32
        }}
        %f = tile.map (%a = %mi : {q1}, %b = %mn : {q1}) -> {q1} {{
          %d = arith.subf %a, %b : f32
          %e = math.exp %d : f32
          tile.yield %e : f32
        }}
        %ps = tile.reduce add %p along 1 : {qk} -> {q1}
        %ln = tile.map (%a = %li : {q1}, %b = %f : {q1}, %d = %ps : {q1}) -> {q1} {{
          %x = arith.mulf %a, %b : f32
          %y = arith.addf %x, %d : f32
          tile.yield %y : f32
        }}
        %os = tile.map (%a = %oi : {qd}, %b = %f : {q1}) -> {qd} {{
          %x = arith.mulf %a, %b : f32
          tile.yield %x : f32
        }}
        %on = tile.mma %p, %v acc %os : {qk}, {kd}, {qd} -> {qd}
        scf.yield %on, %ln, %mn : {qd}, {q1}, {q1}
      }}
      %r = tile.map (%a = %o : {qd}, %b = %l : {q1}) -> {qd} {{
        %x = arith.divf %a, %b : f32
        tile.yield %x : f32
      }}
      %stored = arith.constant {stored} : index
      tile.store %r, %O[%c0, %c0]{within} : {qd}, {memory}
    }}
  )"),
                     fmt::arg("name", name), fmt::arg("block", block), fmt::arg("keys", keys),
                     fmt::arg("stored", stored), fmt::arg("within", stored ? " within [%c0, %stored]" : ""),
                     fmt::arg("memory", fmt::format("!tile.memory<{}xf32>", width)),
                     fmt::arg("qd", tile(queries, width)), fmt::arg("kd", tile(block, width)),
                     fmt::arg("qk", tile(queries, block)), fmt::arg("q1", tile(queries, 1)));
}

std::string denim::test::deltaRule(const std::string &name, int chunk, int keyWidth, int valueWidth, int tokens,
                                   int heads) {
  return fmt::format(fmt::runtime(R"(
    tile.kernel @{name}(%Q: {km}, %K: {km}, %V: {vm}, %G: {hm}, %B: {hm}, %O: {vm}, %T: {sm})
        items <once by 1 times {heads}> at %item {{
      %c0 = arith.constant 0 : index
      %chunk = arith.constant {chunk} : index
      %n = arith.constant {tokens} : index
      %kw = arith.constant {kw} : index
      %vw = arith.constant {vw} : index
      %kcol = arith.muli %item, %kw : index
      %vcol = arith.muli %item, %vw : index
      %zero = arith.constant 0.0 : f32
      %one = arith.constant 1.0 : f32
      %s0 = tile.splat %zero : f32 -> {kv}
      %ones = tile.splat %one : f32 -> {cc}
      %upper = tile.map (%a = %ones : {cc}) -> {cc} {{
        %i = tile.index 0
        %j = tile.index 1
        %in = arith.cmpi sle, %i, %j : i32
        %r = arith.select %in, %a, %zero : f32
        tile.yield %r : f32
      }}
      %s = scf.for %t = %c0 to %n step %chunk iter_args(%si = %s0) -> ({kv}) {{
        %q = tile.load %Q[%t, %kcol] within [%c0, %n] : {km} -> {ck}
        %k = tile.load %K[%t, %kcol] within [%c0, %n] : {km} -> {ck}
        %v = tile.load %V[%t, %vcol] within [%c0, %n] : {vm} -> {cv}
        %g = tile.load %G[%t, %item] within [%c0, %n] : {hm} -> {c1}
        %b = tile.load %B[%t, %item] within [%c0, %n] : {hm} -> {c1}
        %gc = tile.cumsum %g : {c1}
        %gr = tile.mma transpose_lhs %g, %upper : {c1}, {cc} -> {r1}
        %kk = tile.mma %k, transpose_rhs %k triangle result : {ck}, {ck} -> {cc}
        %qk = tile.mma %q, transpose_rhs %k triangle result : {ck}, {ck} -> {cc}
        %e = tile.map (%a = %gc : {c1}, %d = %gr : {r1}) -> {cc} {{
          %i = tile.index 0
          %j = tile.index 1
          %x = arith.subf %a, %d : f32
          %y = math.exp %x : f32
          %in = arith.cmpi sle, %j, %i : i32
          %r = arith.select %in, %y, %zero : f32
          tile.yield %r : f32
        }}
        %l = tile.map (%a = %kk : {cc}, %d = %e : {cc}, %f = %b : {c1}) -> {cc} {{
          %x = arith.mulf %a, %d : f32
          %y = arith.mulf %x, %f : f32
          tile.yield %y : f32
        }}
        %p = tile.map (%a = %qk : {cc}, %d = %e : {cc}) -> {cc} {{
          %i = tile.index 0
          %j = tile.index 1
          %x = arith.mulf %a, %d : f32
          %in = arith.cmpi sle, %j, %i : i32
          %r = arith.select %in, %x, %zero : f32
          tile.yield %r : f32
        }}
        %ks = tile.mma %k, %si : {ck}, {kv} -> {cv}
        %rhs = tile.map (%a = %v : {cv}, %d = %ks : {cv}, %f = %b : {c1}, %h = %gc : {c1}) -> {cv} {{
          %x = math.exp %h : f32
          %y = arith.mulf %x, %d : f32
          %z = arith.subf %a, %y : f32
          %r = arith.mulf %z, %f : f32
          tile.yield %r : f32
        }}
        %u = tile.solve %l, %rhs : {cc}, {cv}
        %qs = tile.mma %q, %si : {ck}, {kv} -> {cv}
        %qe = tile.map (%a = %qs : {cv}, %h = %gc : {c1}) -> {cv} {{
          %x = math.exp %h : f32
          %y = arith.mulf %x, %a : f32
          tile.yield %y : f32
        }}
        %o = tile.mma %p, %u acc %qe triangle lhs : {cc}, {cv}, {cv} -> {cv}
        tile.store %o, %O[%t, %vcol] within [%c0, %n] : {cv}, {vm}
        %gl = tile.window %gc[{last}, 0] : {c1} -> !tile.tile<1x1xf32>
        %kd = tile.map (%a = %k : {ck}, %h = %gc : {c1}, %w = %gl : !tile.tile<1x1xf32>) -> {ck} {{
          %x = arith.subf %w, %h : f32
          %y = math.exp %x : f32
          %r = arith.mulf %a, %y : f32
          tile.yield %r : f32
        }}
        %sd = tile.map (%a = %si : {kv}, %w = %gl : !tile.tile<1x1xf32>) -> {kv} {{
          %y = math.exp %w : f32
          %r = arith.mulf %a, %y : f32
          tile.yield %r : f32
        }}
        %sn = tile.mma transpose_lhs %kd, %u acc %sd : {ck}, {cv}, {kv} -> {kv}
        scf.yield %sn : {kv}
      }}
      tile.store %s, %T[%kcol, %c0] : {kv}, {sm}
    }}
  )"),
                     fmt::arg("name", name), fmt::arg("chunk", chunk), fmt::arg("last", chunk - 1),
                     fmt::arg("tokens", tokens), fmt::arg("heads", heads), fmt::arg("kw", keyWidth),
                     fmt::arg("vw", valueWidth), fmt::arg("km", fmt::format("!tile.memory<{}xf32>", heads * keyWidth)),
                     fmt::arg("vm", fmt::format("!tile.memory<{}xf32>", heads * valueWidth)),
                     fmt::arg("hm", fmt::format("!tile.memory<{}xf32>", heads)),
                     fmt::arg("sm", fmt::format("!tile.memory<{}xf32>", valueWidth)),
                     fmt::arg("kv", tile(keyWidth, valueWidth)), fmt::arg("ck", tile(chunk, keyWidth)),
                     fmt::arg("cv", tile(chunk, valueWidth)), fmt::arg("cc", tile(chunk, chunk)),
                     fmt::arg("c1", tile(chunk, 1)), fmt::arg("r1", tile(1, chunk)));
}
