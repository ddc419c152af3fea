// EXPECT: this step cannot take what the step before it returns
// EXPECT: StepFits<lovage::TypedGroup<std::vector<int
// EXPECT: lovage::TypedSignature<int(int)>
#include <lovage/lovage.hpp>

lovage::TypedSignature<int()> one();
lovage::TypedSignature<int(int)> next();
lovage::TypedSignature<int(std::vector<int>)> total();

#ifdef FIXED
auto flow() {
  return lovage::chord(lovage::group(one(), one()), total());
}
#else
auto flow() {
  return lovage::chord(lovage::group(one(), one()), next());
}
#endif
