// EXPECT: the header of a chord is a group
// EXPECT: StepFits<lovage::TypedSignature<int()>, lovage::TypedSignature<int(std::vector<int
#include <lovage/lovage.hpp>

lovage::TypedSignature<int()> one();
lovage::TypedSignature<int(std::vector<int>)> total();

#ifdef FIXED
auto flow() {
  return lovage::chord(lovage::group(one()), total());
}
#else
auto flow() {
  return lovage::chord(one(), total());
}
#endif
