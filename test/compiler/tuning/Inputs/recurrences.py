"""Prints a page with a recurrence of every kind for each shape of its state.

    recurrences.py KEYSxVALUES...

Kinds: nothing corrected, what is written corrects what the key reads (delta), or a second write along another vector (free);
each without a decay, with one per head and with one per channel.
"""
import sys

BLOCK = """model.block @{name}(%x: tensor<?x32xf32>) {{
  %w_b = param "b" : tensor<1x32xf32>
  %w_g = param "g" : tensor<{gates}x32xf32>
  %w_v = param "v" : tensor<{all}x32xf32>
  %w_out = param "out" : tensor<32x{dv}xf32>
  %beta = linear %x, %w_b
  %gate0 = linear %x, %w_g
  %gate = {gate}
  %all = linear %x, %w_v
  %q, %k, %p, %v = split %all into 1x{dk}, 1x{dk}, 1x{dk}, 1x{dv}
  %o = attn.recurrence (%s : {dk}x{dv}, {inputs}) {{
{steps}
    yield %n, %y
  }}
  %flat = flatten %o
  %y = linear %flat, %w_out
  yield %y
}}
"""
WRITES = {
    "plain": "%n = write {s}, %k, %v",
    "delta": "%r = read {s}, %k\n    %e = sub %v, %r\n    %w = mul %b, %e\n    %n = write {s}, %k, %w",
    "free": "%r = read {s}, %p\n    %u = mul %b, %r\n    %m = write {s}, %p, %u\n    %n = write %m, %k, %v",
}


def block(name, write, decay, dk, dv):
    inputs = ["%q = %q", "%k = %k", "%v = %v"]
    inputs += ["%b = %beta"] if write != "plain" else []
    inputs += ["%p = %p"] if write == "free" else []
    inputs += ["%g = %gate"] if decay != "none" else []
    steps = "    %d = decay %s, %g\n" if decay != "none" else ""
    steps += "    " + WRITES[write].format(s="%d" if decay != "none" else "%s") + "\n    %y = read %n, %q"
    return BLOCK.format(name=name, dk=dk, dv=dv, all=3 * dk + dv, gates=dk if decay == "channel" else 1,
                        gate="heads %gate0, 1" if decay == "channel" else "sigmoid %gate0",
                        inputs=", ".join(inputs), steps=steps)


blocks = {}
for shape in sys.argv[1:]:
    dk, dv = map(int, shape.split("x"))
    for write in WRITES:
        for decay in ("none", "head", "channel"):
            name = "%s_%s_%s" % (write, decay, shape)
            blocks[name] = block(name, write, decay, dk, dv)
print("""model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<16x32xf32>
  %head = param "head" : tensor<16x32xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (""" + ", ".join("1 x @" + name for name in blocks) + """)
  %logits = linear %y, %head
  output %logits
}
""" + "".join(blocks.values()), end="")
