// AMX for processors without it: its instructions raise SIGILL, and a handler does them.
//
// It stands on the manual's description alone: what LDTILECFG, TILEZERO, TILELOADD, TILESTORED, TDPBF16PS and
// TILERELEASE leave behind, shapes and faults included. An instruction takes about a microsecond, so it is for tests of
// small products. Everything else that raises SIGILL does so as before.
#ifndef TEST_CODEGEN_CPU_TILEUNITEMULATOR_H
#define TEST_CODEGEN_CPU_TILEUNITEMULATOR_H

namespace denim::test {

/// Asks Linux for the unit; false if there is none.
bool enableTileUnit();
/// From here on AMX instructions of any thread work.
void emulateTileUnit();

} // namespace denim::test

#endif // TEST_CODEGEN_CPU_TILEUNITEMULATOR_H
