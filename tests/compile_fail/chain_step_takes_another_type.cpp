// EXPECT: this step cannot take what the step before it returns
// EXPECT: StepFits<lovage::TypedSignature<double()>, lovage::TypedSignature<int(int)>
#include <lovage/lovage.hpp>

lovage::TypedSignature<double()> measure();
lovage::TypedSignature<int(int)> count();
lovage::TypedSignature<int(double)> round_up();

#ifdef FIXED
auto flow() {
  return lovage::chain(measure(), round_up());
}
#else
auto flow() {
  return lovage::chain(measure(), count());
}
#endif
