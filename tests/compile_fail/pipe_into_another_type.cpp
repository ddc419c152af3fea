// EXPECT: this step cannot take what the step before it returns
// EXPECT: StepFits<lovage::TypedWorkflow<double>, lovage::TypedSignature<int(int)>
#include <lovage/lovage.hpp>

lovage::TypedSignature<bool()> ask();
lovage::TypedSignature<double(bool)> measure();
lovage::TypedSignature<int(int)> count();
lovage::TypedSignature<int(double)> round_up();

#ifdef FIXED
auto flow() {
  return ask() | measure() | round_up();
}
#else
auto flow() {
  return ask() | measure() | count();
}
#endif
