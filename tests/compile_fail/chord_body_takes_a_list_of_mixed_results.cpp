// EXPECT: this step cannot take what the step before it returns
// EXPECT: StepFits<lovage::TypedGroup<std::tuple<int, double>()>
// EXPECT: lovage::TypedSignature<int(std::vector<int
#include <lovage/lovage.hpp>

lovage::TypedSignature<int()> one();
lovage::TypedSignature<double()> half();
lovage::TypedSignature<int(std::vector<int>)> total();
lovage::TypedSignature<int(std::tuple<int, double>)> both();

#ifdef FIXED
auto flow() {
  return lovage::chord(lovage::group(one(), half()), both());
}
#else
auto flow() {
  return lovage::chord(lovage::group(one(), half()), total());
}
#endif
