// What the region of an attn.recurrence is in the normal form.
#ifndef DIALECTS_ATTN_IR_RECURRENCEFORM_H
#define DIALECTS_ATTN_IR_RECURRENCEFORM_H

#include "dialects/attn/ir/Attn.h"

namespace denim::attn {

/// Reads the region once, from top to bottom. Every value in it is of one of three kinds:
///
///   * of the token alone: operands and arithmetic on them. Kept as it is; whoever uses the form computes it.
///   * a state: faded once or not, plus writes `key (sum of terms)^T`
///   * a vector that depends on the state: a sum of terms, each `factor * product(numbers) *` a vector of the token or
///     a read of a state
///
/// A write of a term with a vector of the token is the input K V^T, a write of a term with a read of the old state is
/// the low-rank part P Q^T. So in the delta rule
///
///     %d = decay %s, %g       faded
///     %p = read %d, %k        [1 * (read of the faded state along k)]
///     %e = sub %v, %p         [1 * v, -1 * (read ... k)]
///     %w = mul %b, %e         [b * v, -b * (read ... k)]
///     %n = write %d, %k, %w   faded + k (b v)^T - (b k) (a o k)^T S
///
/// K = b k, V = v, P = -b k, Q = k on the decayed state. The first step that leaves these kinds is named in `outside`.
NormalForm normalFormOf(RecurrenceOp op);

} // namespace denim::attn

#endif // DIALECTS_ATTN_IR_RECURRENCEFORM_H
