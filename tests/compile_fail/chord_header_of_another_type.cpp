// EXPECT: this step cannot take what the step before it returns
// EXPECT: StepFits<lovage::TypedGroup<std::vector<double
// EXPECT: lovage::TypedSignature<int(std::vector<int
#include <lovage/lovage.hpp>

lovage::TypedSignature<int()> one();
lovage::TypedSignature<double()> half();
lovage::TypedSignature<int(std::vector<int>)> total();

#ifdef FIXED
auto flow() {
  return lovage::chord(std::vector{one(), one()}, total());
}
#else
auto flow() {
  return lovage::chord(std::vector{half(), half()}, total());
}
#endif
