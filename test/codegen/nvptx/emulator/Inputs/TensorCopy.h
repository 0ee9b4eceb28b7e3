// A kernel in PTX by hand that copies boxes of a matrix by a tensor map and stores what then stands in shared memory.
#ifndef TEST_CODEGEN_NVPTX_EMULATOR_INPUTS_TENSORCOPY_H
#define TEST_CODEGEN_NVPTX_EMULATOR_INPUTS_TENSORCOPY_H

#include <cstdint>

namespace denim::test {

constexpr int64_t kTensorCopyThreads = 32, kTensorCopyShared = 1088, kTensorCopyRows = 8, kTensorCopyColumns = 64;

/// Block i copies the box of 8 rows from row 8 i and 64 columns from column 64, and stores its 1024 bytes to `out`.
constexpr const char *kTensorCopy = R"(
.version 8.0
.target sm_90a
.address_size 64
.extern .shared .align 1024 .b8 denim_shared[];
.visible .entry tensor_copy(
	.param .u64 batch,
	.param .u64 items,
	.param .u64 .ptr .align 1 rows,
	.param .u64 .ptr .align 1 out,
	.param .align 64 .b8 map[128]
)
{
	.reg .pred %p<3>;
	.reg .b32 %r<20>;
	.reg .b64 %rd<9>;
	mov.u32 %r1, %tid.x;
	mov.u32 %r2, %ctaid.x;
	mov.b64 %rd1, map;
	cvta.param.u64 %rd2, %rd1;
	mov.b64 %rd3, denim_shared;
	cvt.u32.u64 %r3, %rd3;
	setp.ne.u32 %p1, %r1, 0;
	@%p1 bra READY;
	prefetch.tensormap [%rd2];
	mbarrier.init.shared::cta.b64 [%r3+1024], 1;
	fence.mbarrier_init.release.cluster;
	mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3+1024], 1024;
	shl.b32 %r4, %r2, 3;
	mov.b32 %r5, 64;
	cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r3], [%rd2, {%r5, %r4}], [%r3+1024];
READY:
	bar.sync 0, 32;
AWAIT:
	mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r3+1024], 0;
	@!%p2 bra AWAIT;
	ld.param.u64 %rd4, [out];
	shl.b32 %r6, %r1, 5;
	add.s32 %r7, %r3, %r6;
	ld.shared.v4.b32 {%r8, %r9, %r10, %r11}, [%r7];
	ld.shared.v4.b32 {%r12, %r13, %r14, %r15}, [%r7+16];
	shl.b32 %r16, %r2, 10;
	add.s32 %r17, %r16, %r6;
	cvt.u64.u32 %rd5, %r17;
	add.s64 %rd6, %rd4, %rd5;
	st.global.v4.b32 [%rd6], {%r8, %r9, %r10, %r11};
	st.global.v4.b32 [%rd6+16], {%r12, %r13, %r14, %r15};
	ret;
}
)";

/// Where element `column` of a row of a box stands, counted in elements: its row has 64, and the pieces of 8 are
/// exchanged by the number of the row.
constexpr int64_t placeInBox(int64_t row, int64_t column) {
  return row * 64 + ((column / 8) ^ (row % 8)) * 8 + column % 8;
}

} // namespace denim::test

#endif // TEST_CODEGEN_NVPTX_EMULATOR_INPUTS_TENSORCOPY_H
