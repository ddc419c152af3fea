// How much longer things take in this build than in a plain one: the one factor of the tests' upper limits. The
// build sets it (cmake/LovageLayer.cmake).
#pragma once

namespace lovage::test {

inline constexpr int kSlowness = LOVAGE_TEST_SLOWNESS;

}  // namespace lovage::test
