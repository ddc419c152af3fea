// EXPECT: this step cannot take what the step before it returns
// EXPECT: StepFits<lovage::TypedSignature<int()>, lovage::TypedSignature<int(int, int)>
#include <lovage/lovage.hpp>

lovage::TypedSignature<int()> one();
lovage::TypedSignature<int(int, int)> add();
lovage::TypedSignature<int(int)> add_two();

#ifdef FIXED
auto flow() {
  return lovage::chain(one(), add_two());
}
#else
auto flow() {
  return lovage::chain(one(), add());
}
#endif
