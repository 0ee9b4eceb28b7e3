// Refuses code of a GPU kernel in which threads may meet in shared memory with nothing between them: a barrier, a wait
// or a fence that is missing is an error of the compilation.
//
// The walk goes through the structured code once, as all threads of a block do together, and computes what they compute
// from their number: addresses of shared memory, roles of warps, numbers of ring slots. A loop whose length is not
// known turns twice and may not turn at all; where a condition is not known, both ways are taken. What is found so
// happens for some input; what needs a third turn, or a coincidence of two branches, is left to the emulator of the
// tests.
//
// The order it holds accesses to is that of the PTX memory model as our code uses it: barriers of the block and of a
// warp; for products and bulk copies, which read and write by the asynchronous proxy, a fence in front of the barrier,
// groups that are waited for, and mbarriers of the ring slots (codegen/nvptx/Staging.cpp), whose pieces are fenced by
// those who wait, or by those who copy them where a bulk copy may take their place (TensorCopies.cpp). Two teams of
// warps, which meet at barriers of their own, share what one hands over to the other by such mbarriers
// (codegen/nvptx/Teams.cpp), and nothing else.
#include "codegen/nvptx/Compile.h"
#include "codegen/nvptx/verify/SharedAccess.h"
#include "codegen/nvptx/verify/SharedShadow.h"
#include "codegen/nvptx/verify/ThreadValues.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim::codegen::nvptx;
using Kind = SharedAccess::Kind;

namespace {

/// Turns of a loop that are walked: all of them up to four, or two where their number is not known.
constexpr int64_t kMostTurns = 4, kTurns = 2;
/// Registers of a multiprocessor (PTX ISA, setmaxnreg).
constexpr int64_t kRegisters = 65536;

/// Bytes that a copy, or a team of warps, fills while others compute.
struct Slot {
  int64_t begin, end;
  int64_t full;                ///< mbarrier that says it is filled
  std::optional<int64_t> free; ///< the one that was waited for before
  bool isStored = false;       ///< by threads
  bool operator==(const Slot &other) const {
    return begin == other.begin && end == other.end && full == other.full && free == other.free;
  }
};

/// Bytes that a warp stored since it met others, or handed something over; by a copy of pieces, or (null) by itself.
struct Stored {
  int64_t warp, begin, end;
  Operation *copy = nullptr;
};

/// 16 bytes that a thread copies while it goes on.
struct Piece {
  int64_t thread, offset, bytes;
  Operation *op;
  bool isFenced = false, isMet = false; ///< for the asynchronous proxy; by the warp behind that
};

class Walk {
public:
  Walk(LLVM::LLVMFuncOp function, int64_t threads, int64_t sharedBytes)
      : function(function), threads(threads), sharedBytes(sharedBytes) {}

  LogicalResult verify() {
    // What copies fill is known before those who read it are looked at, for their code comes first.
    for (bool first : {true, false}) {
      isFirst = first;
      values = ThreadValues(threads);
      shadow = SharedShadow(sharedBytes, (threads + 31) / 32);
      active = llvm::BitVector(threads, true);
      issued = registers = 0;
      inFlight.clear();
      filled.clear();
      waits.clear();
      readAt.clear();
      awaited.reset();
      stored.clear();
      handedPieces.clear();
      mayStore.clear();
      mbarriers.clear();
      if (failed(walk(function.getBody().front())) || failed(copiesAreWhole(function)))
        return failure();
    }
    if (registers > kRegisters)
      return function.emitError() << "expected warps to ask for at most " << kRegisters
                                  << " registers of a multiprocessor, but they ask for " << registers;
    return success();
  }

private:
  LogicalResult walk(Block &block) {
    for (Operation &op : block)
      if (failed(visit(&op)))
        return failure();
    return success();
  }

  LogicalResult visit(Operation *op) {
    if (auto loop = dyn_cast<scf::ForOp>(op))
      return visitLoop(loop);
    if (auto branch = dyn_cast<scf::IfOp>(op))
      return visitBranch(branch);
    if (isa<scf::YieldOp>(op))
      return success();
    if (auto text = dyn_cast<LLVM::InlineAsmOp>(op)) {
      shadow.advance();
      return visitAssembly(text);
    }
    if (auto extract = dyn_cast<LLVM::ExtractValueOp>(op)) {
      auto it = inFlight.find(extract.getContainer());
      if (it != inFlight.end())
        inFlight[extract.getRes()] = {it->second[std::min<size_t>(extract.getPosition()[0], it->second.size() - 1)]};
      return success();
    }
    for (Value operand : op->getOperands())
      if (failed(isAwaited(op, operand)))
        return failure();
    values.evaluate(op);
    return success();
  }

  LogicalResult isAwaited(Operation *op, Value operand) {
    if (groupOf(operand) == 0 || isFirst)
      return success();
    return op->emitError("expected the result of a product to go through a wait before it is used");
  }
  int64_t groupOf(Value value) const {
    auto it = inFlight.find(value);
    return it == inFlight.end() ? 0 : it->second.front();
  }

  /// All at once, for they may change places.
  void assign(ValueRange to, ValueRange from) {
    SmallVector<std::optional<PerThread>> numbers;
    SmallVector<int64_t> groups;
    for (Value value : from) {
      const PerThread *known = values.lookup(value);
      numbers.push_back(known ? std::optional<PerThread>(*known) : std::nullopt);
      groups.push_back(groupOf(value));
    }
    for (auto [value, number, group] : llvm::zip_equal(to, numbers, groups)) {
      values.set(value, std::move(number));
      setGroup(value, group);
    }
  }
  void setGroup(Value value, int64_t group) {
    if (group)
      inFlight[value] = {group};
    else
      inFlight.erase(value);
  }

  LogicalResult visitLoop(scf::ForOp loop) {
    auto low = values.uniform(loop.getLowerBound()), high = values.uniform(loop.getUpperBound()),
         step = values.uniform(loop.getStep());
    std::optional<int64_t> count;
    if (low && high && step && *step > 0)
      count = std::max<int64_t>(0, llvm::divideCeil(*high - *low, *step));
    assign(loop.getRegionIterArgs(), loop.getInitArgs());
    std::optional<SharedShadow> before;
    if (!count && !isFirst)
      before = shadow;
    for (int64_t turn = 0; turn < (count ? std::min(*count, kMostTurns) : kTurns); ++turn) {
      values.set(loop.getInductionVar(), low && step ? std::optional<PerThread>(*low + turn * *step) : std::nullopt);
      if (failed(walk(*loop.getBody())))
        return failure();
      assign(loop.getRegionIterArgs(), loop.getBody()->getTerminator()->getOperands());
    }
    assign(loop.getResults(), loop.getRegionIterArgs());
    if (before)
      shadow.join(*before);
    return success();
  }

  LogicalResult visitBranch(scf::IfOp branch) {
    const PerThread *condition = values.lookup(branch.getCondition());
    auto walkRegion = [&](Region &region) {
      if (region.empty())
        return success();
      if (failed(walk(region.front())))
        return failure();
      assign(branch.getResults(), region.front().getTerminator()->getOperands());
      return success();
    };
    if (!condition) {
      SharedShadow before = shadow;
      auto since = filledSince;
      auto counts = fills;
      if (failed(walkRegion(branch.getElseRegion())))
        return failure();
      std::swap(shadow, before);
      std::swap(filledSince, since);
      std::swap(fills, counts);
      // Last: the walk goes on with its results.
      if (failed(walkRegion(branch.getThenRegion())))
        return failure();
      shadow.join(before);
      filledSince.insert(since.begin(), since.end());
      for (auto [barrier, count] : counts)
        fills[barrier] = std::max(fills[barrier], count);
      return success();
    }
    llvm::BitVector all = active, then = active;
    for (unsigned thread : all.set_bits())
      if (!(*condition)[thread])
        then.reset(thread);
    llvm::BitVector otherwise = all;
    otherwise.reset(then);
    auto as = [&](const llvm::BitVector &some, Region &region) {
      if (some.none())
        return success();
      active = some;
      return walkRegion(region);
    };
    if (failed(as(otherwise, branch.getElseRegion())) || failed(as(then, branch.getThenRegion())))
      return failure();
    active = all;
    if (then.any() && otherwise.any())
      for (Value result : branch.getResults())
        values.set(result, std::nullopt);
    return success();
  }

  //===------------------------------------------------------------------------------------------------------------===//
  // Inline PTX
  //===------------------------------------------------------------------------------------------------------------===//

  LogicalResult visitAssembly(LLVM::InlineAsmOp op) {
    auto known = accesses.find(op);
    if (known == accesses.end())
      known = accesses.try_emplace(op, classify(op)).first;
    const SharedAccess &access = known->second;
    if (access.kind != Kind::product && access.kind != Kind::awaitProducts)
      for (Value operand : op.getOperands())
        if (failed(isAwaited(op, operand)))
          return failure();
    for (Value result : op->getResults()) {
      values.set(result, std::nullopt);
      inFlight.erase(result);
    }
    switch (access.kind) {
    case Kind::none:
    case Kind::fenceInit:
    case Kind::turnBarrier:
      return success();
    case Kind::unknown:
      return op.emitError("expected an instruction that the verifier of shared memory knows, but got '")
             << op.getAsmString() << "'";
    case Kind::load:
    case Kind::store:
      return eachThread(op, access, [&](int64_t thread, int64_t offset) {
        return touch(op, offset, access.bytes, Actor::thread(thread), access.kind == Kind::store);
      });
    case Kind::loadMatrices:
    case Kind::storeMatrices:
      return eachThread(op, access, [&](int64_t thread, int64_t offset) -> LogicalResult {
        if (thread % 32 >= access.lanes)
          return success();
        return touch(op, offset, access.bytes, Actor::anyOf(thread / 32), access.kind == Kind::storeMatrices);
      });
    case Kind::piece:
      return eachThread(op, access, [&](int64_t thread, int64_t offset) {
        pieces.push_back({thread, offset, access.bytes, op});
        return isInside(op, offset, access.bytes);
      });
    case Kind::awaitPieces:
      return storePieces();
    case Kind::product:
      return visitProduct(op, access);
    case Kind::awaitProducts:
      return visitWait(op, access.bytes);
    case Kind::blockBarrier:
      if (int64_t(active.count()) != access.bytes)
        return op.emitError() << "expected " << access.bytes << " threads at the barrier, but " << active.count()
                              << " come here";
      shadow.blockBarrier();
      llvm::erase_if(stored, [&](const Stored &own) { return active.test(own.warp * 32); });
      if (access.number != 0)
        eachWarp([&](int64_t warp) { teamOf[warp] = access.number; });
      return success();
    case Kind::warpBarrier:
      eachWarp([&](int64_t warp) {
        shadow.warpBarrier(warp);
        for (Piece &piece : handedPieces)
          piece.isMet |= piece.isFenced && piece.thread / 32 == warp;
      });
      return success();
    case Kind::proxyFence:
      eachWarp([&](int64_t warp) { shadow.proxyFence(warp); });
      for (Piece &piece : handedPieces)
        piece.isFenced |= active.test(piece.thread);
      return success();
    case Kind::setRegisters:
      registers += isFirst ? 0 : access.bytes * int64_t(active.count());
      return success();
    default:
      return visitBarrierInMemory(op, access);
    }
  }

  void eachWarp(function_ref<void(int64_t)> body) {
    for (int64_t warp = 0; warp * 32 < threads; ++warp)
      if (active.find_first_in(warp * 32, std::min(threads, warp * 32 + 32)) >= 0)
        body(warp);
  }

  /// `body` with the address of each thread that is there and not held back by a predicate.
  LogicalResult eachThread(Operation *op, const SharedAccess &access,
                           function_ref<LogicalResult(int64_t, int64_t)> body) {
    const PerThread *address = values.lookup(access.address);
    const PerThread *predicate = access.predicate ? values.lookup(access.predicate) : nullptr;
    if (!address)
      return op->emitError("expected an address in shared memory that depends on nothing but the thread and the turn");
    for (unsigned thread : active.set_bits())
      if (!predicate || (*predicate)[thread])
        if (failed(body(thread, (*address)[thread] + access.plus)))
          return failure();
    return success();
  }

  LogicalResult isInside(Operation *op, int64_t offset, int64_t bytes) {
    if (offset < 0 || offset + bytes > sharedBytes)
      return op->emitError() << "expected " << bytes << " bytes within the " << sharedBytes
                             << " of shared memory, but they are at " << offset;
    return success();
  }

  LogicalResult touch(Operation *op, int64_t offset, int64_t bytes, Actor actor, bool isWrite) {
    if (isFirst) {
      if (isWrite)
        stored.push_back({actor.warp(), offset, offset + bytes});
      return success();
    }
    if (failed(isInside(op, offset, bytes)) ||
        failed(isWrite && isOfTeam(offset) ? mayBeStored(op, offset, bytes) : isFilled(op, offset, bytes)) ||
        failed(areThere(op, offset, bytes)) || failed(isOfOneTeam(op, offset, bytes, actor.warp())))
      return failure();
    for (const Slot &slot : slots)
      if (!isWrite && offset < slot.end && slot.begin < offset + bytes)
        readAt[{slot.full, actor.warp()}] = shadow.time();
    if (offset % bytes != 0)
      return op->emitError() << "expected an address that is a multiple of " << bytes << ", but got " << offset;
    Hazard hazard = isWrite ? shadow.write(offset, bytes, actor, op) : shadow.read(offset, bytes, actor, op);
    return report(op, hazard, offset, isWrite ? "written" : "read");
  }

  LogicalResult report(Operation *op, Hazard hazard, int64_t offset, StringRef what) {
    if (!hazard || isFirst)
      return success();
    InFlightDiagnostic error = op->emitError() << "byte " << offset << " of shared memory is " << what << ' ';
    switch (hazard.kind) {
    case Hazard::Kind::missingBarrier:
      error << "with no barrier behind another thread's access";
      break;
    case Hazard::Kind::missingFence:
      error << "by a product with no fence.proxy.async and barrier behind another thread's access";
      break;
    default:
      error << "while a product may still read it";
    }
    error.attachNote(hazard.earlier->getLoc()) << "the other access";
    return failure();
  }

  //===------------------------------------------------------------------------------------------------------------===//
  // Products in flight
  //===------------------------------------------------------------------------------------------------------------===//

  LogicalResult visitProduct(LLVM::InlineAsmOp op, const SharedAccess &access) {
    auto structure = dyn_cast<LLVM::LLVMStructType>(op.getResult(0).getType());
    size_t sums = structure ? structure.getBody().size() : 1;
    bool adds = StringRef(op.getConstraints()).contains(",0,");
    for (Value operand : op.getOperands().drop_front(adds ? sums : 0))
      if (failed(isAwaited(op, operand)))
        return failure();
    inFlight[op.getResult(0)] = {++issued};
    if (isFirst)
      return success();
    for (const SharedAccess::Operand &operand : access.operands) {
      const PerThread *descriptors = operand.descriptor ? values.lookup(operand.descriptor) : nullptr;
      if (!descriptors)
        return op.emitError("expected operands of a product at addresses that depend on nothing but the thread");
      llvm::SmallDenseSet<int64_t> seen;
      LogicalResult result = success();
      eachWarp([&](int64_t warp) {
        int64_t descriptor = (*descriptors)[warp * 32];
        if (succeeded(result) && seen.insert(descriptor).second)
          result = readOperand(op, operand, descriptor);
      });
      if (failed(result))
        return failure();
    }
    return success();
  }

  /// Of the descriptor's fields (PTX ISA, "matrix-descriptor") the address and the way from panel to panel.
  LogicalResult readOperand(Operation *op, const SharedAccess::Operand &operand, int64_t descriptor) {
    int64_t address = (descriptor & 0x3fff) * 16 + operand.offset, pitch = ((descriptor >> 16) & 0x3fff) * 16;
    for (int64_t panel = 0; panel < operand.panels; ++panel) {
      int64_t begin = (address + panel * pitch) / 128 * 128, bytes = operand.rows * 128;
      if (failed(isInside(op, begin, bytes)) || failed(isFilled(op, begin, bytes)) ||
          failed(areThere(op, begin, bytes)) || failed(isOfOneTeam(op, begin, bytes, active.find_first() / 32)) ||
          failed(report(op, shadow.readByProduct(begin, bytes, issued, op), begin, "read")))
        return failure();
    }
    return success();
  }

  LogicalResult visitWait(LLVM::InlineAsmOp op, int64_t left) {
    shadow.retire(issued - left);
    SmallVector<int64_t> groups;
    for (Value operand : op.getOperands())
      groups.push_back(shadow.isRetired(groupOf(operand)) ? 0 : groupOf(operand));
    if (op.getNumResults() && llvm::any_of(groups, [](int64_t group) { return group != 0; }))
      inFlight[op.getResult(0)] = groups;
    return success();
  }

  //===------------------------------------------------------------------------------------------------------------===//
  // Ring slots and their mbarriers
  //===------------------------------------------------------------------------------------------------------------===//

  LogicalResult visitBarrierInMemory(LLVM::InlineAsmOp op, const SharedAccess &access) {
    llvm::SmallDenseSet<int64_t> counted;
    return eachThread(op, access, [&](int64_t thread, int64_t offset) -> LogicalResult {
      int64_t barrier = offset;
      if (access.kind == Kind::bulkCopy) {
        const PerThread *barriers = values.lookup(access.barrier);
        if (!barriers)
          return op.emitError("expected an mbarrier that depends on nothing but the thread and the turn");
        barrier = (*barriers)[thread];
      }
      if (access.kind == Kind::initBarrier)
        mbarriers[barrier] = shadow.time();
      auto made = mbarriers.find(barrier);
      if (made == mbarriers.end())
        return op.emitError() << "expected an mbarrier that was initialized, but got one at " << barrier;
      if (access.kind != Kind::initBarrier && !shadow.isBehindBarrier(made->second))
        return op.emitError("expected a barrier between the initialization of an mbarrier and its first use");
      bool isNew = counted.insert(barrier).second;
      switch (access.kind) {
      case Kind::await:
        waits[barrier] += isNew;
        filled.insert(barrier);
        mayStore.insert(barrier);
        awaited = barrier;
        filledSince.clear();
        return success();
      case Kind::arrive:
        return leave(op, barrier, thread / 32);
      case Kind::handOver:
        return handOver(op, barrier, thread / 32);
      case Kind::expectBytes:
        fills[barrier] += isFirst && isNew;
        if (failed(copiesAreWhole(op)))
          return failure();
        expected = {barrier, access.bytes};
        return beginFill(op, barrier);
      case Kind::arriveWithPieces:
        fills[barrier] += isFirst && isNew;
        if (!pieces.empty()) {
          fillWithPieces(barrier);
          return beginFill(op, barrier);
        }
        return success();
      case Kind::arriveOnTop:
        return arriveOnTop(op, thread / 32);
      case Kind::bulkCopy:
        if (expected.first == barrier)
          expected.second -= access.bytes;
        if (offset % access.alignment != 0)
          return op.emitError() << "expected a copy to an address that is a multiple of " << access.alignment
                                << ", but got " << offset;
        addSlot({offset, offset + access.bytes, barrier, freeOf.lookup(barrier)});
        return isInside(op, offset, access.bytes);
      default:
        return success();
      }
    });
  }

  /// Nobody may use the bytes of a piece before its thread has waited for it.
  LogicalResult areThere(Operation *op, int64_t offset, int64_t bytes) {
    for (const Piece &piece : pieces)
      if (offset < piece.offset + piece.bytes && piece.offset < offset + bytes)
        return op->emitError() << "expected a wait for the copy that fills byte " << piece.offset
                               << " of shared memory before it is used";
    return success();
  }

  /// Pieces that the threads waited for themselves are stores from here on.
  LogicalResult storePieces() {
    SmallVector<Piece, 0> waited;
    llvm::copy_if(pieces, std::back_inserter(waited), [&](const Piece &piece) { return active.test(piece.thread); });
    llvm::erase_if(pieces, [&](const Piece &piece) { return active.test(piece.thread); });
    for (const Piece &piece : waited)
      if (isFirst)
        stored.push_back({piece.thread / 32, piece.offset, piece.offset + piece.bytes, piece.op});
      else if (handingCopies.contains(piece.op))
        handedPieces.push_back(piece);
      else if (failed(touch(piece.op, piece.offset, piece.bytes, Actor::thread(piece.thread), /*isWrite=*/true)))
        return failure();
    return success();
  }

  void fillWithPieces(int64_t barrier) {
    Slot slot{pieces.front().offset, pieces.front().offset, barrier, awaited};
    for (const Piece &piece : pieces) {
      slot.begin = std::min(slot.begin, piece.offset);
      slot.end = std::max(slot.end, piece.offset + piece.bytes);
    }
    addSlot(slot);
    pieces.clear();
  }

  /// A thread says for its warp that others may read what the warp stored, or copied in pieces.
  LogicalResult handOver(Operation *op, int64_t full, int64_t warp) {
    if (failed(handPieces(op, full, warp)))
      return failure();
    if (isFirst) {
      for (const Stored &own : stored)
        if (own.warp == warp && !own.copy)
          addStored(own, full);
      llvm::erase_if(stored, [&](const Stored &own) { return own.warp == warp; });
      return success();
    }
    for (const Slot &slot : slots) {
      if (!slot.isStored || slot.full != full)
        continue;
      if (Hazard hazard = shadow.handOver(slot.begin, slot.end, warp)) {
        InFlightDiagnostic error =
            op->emitError("expected a barrier of the warp between its stores and the arrival that hands them over");
        error.attachNote(hazard.earlier->getLoc()) << "a store";
        return failure();
      }
      if (slot.free)
        mayStore.erase(*slot.free);
    }
    return success();
  }

  /// A lane of those whose pieces one of them will hand over: behind that it would count in the next phase.
  LogicalResult arriveOnTop(Operation *op, int64_t warp) {
    auto isOfWarp = [&](const Piece &piece) { return piece.thread / 32 == warp; };
    if (isFirst || llvm::any_of(pieces, isOfWarp) || llvm::any_of(handedPieces, isOfWarp))
      return success();
    return op->emitError("expected pieces of the warp that are yet to be handed over in front of an arrival on top");
  }

  /// Pieces that fill a slot in place of a bulk copy: those who wait expect what such a copy leaves, and one may
  /// follow.
  LogicalResult handPieces(Operation *op, int64_t full, int64_t warp) {
    if (isFirst) {
      std::optional<Slot> slot;
      for (const Stored &own : stored)
        if (own.warp == warp && own.copy) {
          handingCopies.insert(own.copy);
          slot = slot ? Slot{std::min(slot->begin, own.begin), std::max(slot->end, own.end), full, awaited}
                      : Slot{own.begin, own.end, full, awaited};
        }
      if (!slot)
        return success();
      addSlot(*slot);
      ++fills[full];
      return beginFill(op, full);
    }
    auto isOfSlot = [&](const Piece &piece) {
      return piece.thread / 32 == warp && llvm::any_of(slots, [&](const Slot &slot) {
               return !slot.isStored && slot.full == full && piece.offset < slot.end &&
                      slot.begin < piece.offset + piece.bytes;
             });
    };
    if (llvm::any_of(pieces, isOfSlot))
      return op->emitError("expected a wait for the pieces of a slot in front of the arrival that hands them over");
    bool any = false;
    for (const Piece &piece : handedPieces) {
      if (!isOfSlot(piece))
        continue;
      any = true;
      if (!piece.isFenced)
        return op->emitError(
            "expected fence.proxy.async between the pieces of a slot and the arrival that hands them over");
      if (!piece.isMet)
        return op->emitError("expected a barrier of the warp between the fence of the pieces of a slot and the arrival "
                             "that hands them over");
    }
    llvm::erase_if(handedPieces, isOfSlot);
    return any ? beginFill(op, full) : success();
  }

  void addStored(const Stored &own, int64_t full) {
    for (Slot &slot : slots)
      if (slot.isStored && slot.full == full) {
        slot.begin = std::min(slot.begin, own.begin);
        slot.end = std::max(slot.end, own.end);
        return;
      }
    slots.push_back({own.begin, own.end, full, awaited, /*isStored=*/true});
  }

  bool isOfTeam(int64_t offset) const {
    return llvm::any_of(slots,
                        [&](const Slot &slot) { return slot.isStored && offset >= slot.begin && offset < slot.end; });
  }

  /// Who stores what is handed over has waited, since it was handed over last, for those who read it.
  LogicalResult mayBeStored(Operation *op, int64_t offset, int64_t bytes) {
    for (const Slot &slot : slots)
      if (slot.isStored && offset < slot.end && slot.begin < offset + bytes &&
          (!slot.free || !mayStore.contains(*slot.free)))
        return op->emitError("expected a wait for those who read what was handed over in front of a store over it");
    return success();
  }

  /// Teams meet at no barrier: what both of them touch is copied for them, or handed over.
  LogicalResult isOfOneTeam(Operation *op, int64_t offset, int64_t bytes, int64_t warp) {
    if (isFirst || llvm::none_of(slots, [](const Slot &slot) { return slot.isStored; }))
      return success();
    int64_t own = teamOf.lookup(warp);
    for (int64_t at = offset / 4; at < (offset + bytes + 3) / 4; ++at) {
      int64_t &team = touchedBy.try_emplace(at, own).first->second;
      if (team != own &&
          llvm::none_of(slots, [&](const Slot &slot) { return at * 4 >= slot.begin && at * 4 < slot.end; }))
        return op->emitError() << "expected memory that two teams of warps use to be handed over, but both touch byte "
                               << at * 4;
    }
    return success();
  }

  void addSlot(const Slot &slot) {
    if (isFirst && !llvm::is_contained(slots, slot))
      slots.push_back(slot);
  }

  /// A slot of a loop is filled again: those who read it before have been waited for.
  LogicalResult beginFill(Operation *op, int64_t full) {
    // Parts of a slot, each with an mbarrier of its own, are filled behind one wait.
    if (op->getParentOfType<scf::ForOp>() && (!awaited || !filledSince.insert(full).second))
      return op->emitError("expected a wait for those who read the slot in front of a copy into it");
    freeOf[full] = awaited;
    return success();
  }

  LogicalResult copiesAreWhole(Operation *op) {
    if (expected.second != 0)
      return op->emitError() << "expected copies of as many bytes as the mbarrier expects, but they differ by "
                             << expected.second;
    return success();
  }

  /// Whoever uses a slot has waited for it and not given it back, or has waited for all that will ever be copied there.
  LogicalResult isFilled(Operation *op, int64_t offset, int64_t bytes) {
    if (isFirst)
      return success();
    bool isSlot = false, waited = false;
    for (const Slot &slot : slots)
      if (offset < slot.end && slot.begin < offset + bytes) {
        isSlot = true;
        waited |= filled.contains(slot.full) || (!slot.isStored && waits.lookup(slot.full) >= fills.lookup(slot.full));
      }
    if (isSlot && !waited)
      return op->emitError() << "expected a wait for the copy that fills byte " << offset
                             << " of shared memory before it is used";
    return success();
  }

  /// A thread says for its warp that a slot may be filled again.
  LogicalResult leave(Operation *op, int64_t barrier, int64_t warp) {
    bool isFree = isFirst;
    for (const Slot &slot : slots) {
      if (isFirst || slot.free != barrier)
        continue;
      isFree = true;
      auto read = readAt.find({slot.full, warp});
      if (read != readAt.end() && !shadow.isBehindBarrier(read->second, warp))
        return op->emitError(
            "expected a barrier of the warp between its reads of a slot and the arrival that frees it");
      filled.erase(slot.full);
      if (Operation *product = shadow.productOver(slot.begin, slot.end - slot.begin)) {
        InFlightDiagnostic error = op->emitError("expected a wait for the product that reads a slot before it is left");
        error.attachNote(product->getLoc()) << "the product";
        return failure();
      }
    }
    if (!isFree)
      return op->emitError("expected an arrival at an mbarrier that somebody waits for before a slot is filled");
    return success();
  }

  LLVM::LLVMFuncOp function;
  int64_t threads, sharedBytes;
  bool isFirst = true; ///< the turn that gathers slots and refuses nothing that depends on them
  llvm::DenseMap<Operation *, SharedAccess> accesses;
  ThreadValues values{0};
  SharedShadow shadow{0, 0};
  llvm::BitVector active;
  int64_t issued = 0, registers = 0;
  /// Groups of the registers that a product writes or passes on: one, or one for each element of a structure.
  llvm::DenseMap<Value, SmallVector<int64_t>> inFlight;
  SmallVector<Slot> slots;
  llvm::DenseMap<int64_t, int64_t> mbarriers; ///< and when they were initialized
  llvm::DenseSet<int64_t> filled;
  llvm::DenseMap<int64_t, int64_t> fills, waits; ///< of an mbarrier: how often copies arrive and somebody waits
  std::optional<int64_t> awaited;                ///< the last one that was waited for
  llvm::SmallDenseSet<int64_t> filledSince;      ///< mbarriers of fills since then
  llvm::DenseMap<int64_t, std::optional<int64_t>> freeOf; ///< of the mbarrier of a fill, the one waited for before it
  llvm::DenseMap<std::pair<int64_t, int64_t>, int64_t> readAt; ///< when a warp last read a slot (by its mbarrier)
  SmallVector<Stored, 0> stored;
  llvm::DenseSet<int64_t> mayStore;           ///< mbarriers that say that a slot may be stored to
  llvm::DenseMap<int64_t, int64_t> teamOf;    ///< of a warp: the barrier where it meets its team
  llvm::DenseMap<int64_t, int64_t> touchedBy; ///< of a word: a team
  SmallVector<Piece, 0> pieces;               ///< under way
  SmallVector<Piece, 0> handedPieces;         ///< there, and to be handed over
  llvm::DenseSet<Operation *> handingCopies;  ///< copies of pieces that an arrival hands over
  std::pair<int64_t, int64_t> expected{0, 0}; ///< an mbarrier, and the bytes that are still to be copied for it
};

struct VerifySynchronizationPass : PassWrapper<VerifySynchronizationPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(VerifySynchronizationPass)

  StringRef getArgument() const final { return "verify-nvptx-synchronization"; }
  StringRef getDescription() const final {
    return "Refuses GPU code with a missing barrier, wait or fence in shared memory";
  }
  void runOnOperation() override {
    for (auto function : getOperation().getOps<LLVM::LLVMFuncOp>()) {
      auto threads = function->getAttrOfType<IntegerAttr>("tile.threads");
      auto bytes = function->getAttrOfType<IntegerAttr>("tile.shared_bytes");
      if (threads && bytes && failed(Walk(function, threads.getInt(), bytes.getInt()).verify()))
        return signalPassFailure();
    }
  }
};

} // namespace

std::unique_ptr<Pass> denim::codegen::createVerifySynchronizationPass() {
  return std::make_unique<VerifySynchronizationPass>();
}
