// EXPECT: this step cannot take what the step before it returns
// EXPECT: StepFits<lovage::TypedSignature<int()>, lovage::TypedSignature<bool()>
#include <lovage/lovage.hpp>

lovage::TypedSignature<int()> one();
lovage::TypedSignature<bool()> check();
lovage::ImmutableSignature<bool> check_alone();

#ifdef FIXED
auto flow() {
  return lovage::chain(one(), check_alone());
}
#else
auto flow() {
  return lovage::chain(one(), check());
}
#endif
