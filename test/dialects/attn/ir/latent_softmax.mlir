// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @latent_only
model.block @latent_only(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<192x32xf32>
  %q, %c, %rest = split %x into 4x16, 32, 160
  // CHECK: = attn.latent_softmax %{{.*}}, %{{.*}}, %{{.*}}{{$}}
  %y = attn.latent_softmax %q, %c, %w
  // 192 / 4 - 16 = 32 channels of a value.
  // CHECK-NEXT: split %{{.*}} into 4x32, 128
  %a, %b = split %x into 4x32, 128
  %z = add %y, %a
  yield %x
}

// CHECK-LABEL: model.block @all_words
model.block @all_words(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<192x32xbf16>
  %q, %c, %qr, %kr, %rest = split %x into 4x16, 32, 4x8, 1x8, 120
  // CHECK: %[[L:.*]] = attn.cache "latents"
  %latents = attn.cache "latents" : !attn.cache<paged 1x40xf32>
  // CHECK: = attn.latent_softmax %{{.*}}, %{{.*}}, %{{.*}} rope %{{.*}}, %{{.*}} scale 0.125 latents %[[L]]{{$}}
  %y = attn.latent_softmax %q, %c, %w rope %qr, %kr scale 0.125 latents %latents
  yield %x
}

// What it becomes.
// CHECK-LABEL: model.block @from_pages
model.block @from_pages(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<192x32xf32>
  %q, %c, %qr, %kr, %rest = split %x into 4x16, 32, 4x8, 1x8, 120
  %latents = attn.cache "latents" : !attn.cache<paged 1x40xf32>
  // CHECK: %[[A:.*]] = attn.absorb %[[Q:.*]], %[[W:.*]] rope %[[QR:.*]]
  %a = attn.absorb %q, %w rope %qr
  // CHECK: %[[M:.*]] = attn.attend %[[A]], %[[L:.*]], %[[L]] columns 32 scale 0.125
  %m = attn.attend %a, %latents, %latents columns 32 scale 0.125
  // CHECK: = attn.attend_latent %[[M]] or %[[Q]], %[[L]], %[[W]] rope %[[QR]] scale 0.125{{$}}
  %y = attn.attend_latent %m or %q, %latents, %w rope %qr scale 0.125
  yield %x
}
