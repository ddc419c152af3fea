// EXPECT: this step cannot take what the step before it returns
// EXPECT: StepFits<lovage::TypedSignature<void()>, lovage::TypedSignature<int(int)>
#include <lovage/lovage.hpp>

lovage::TypedSignature<void()> say();
lovage::TypedSignature<int(int)> count();
lovage::TypedSignature<int(std::optional<int>)> count_maybe();

#ifdef FIXED
auto flow() {
  return lovage::chain(say(), count_maybe());
}
#else
auto flow() {
  return lovage::chain(say(), count());
}
#endif
