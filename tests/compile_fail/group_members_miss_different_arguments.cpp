// EXPECT: the members of a group miss different arguments
// EXPECT: GroupTakes<lovage::TypedSignature<int(int)>, lovage::TypedSignature<int(bool)>
#include <lovage/lovage.hpp>

lovage::TypedSignature<int(int)> count();
lovage::TypedSignature<int(bool)> ask();

#ifdef FIXED
auto flow() {
  return lovage::group(count(), count());
}
#else
auto flow() {
  return lovage::group(count(), ask());
}
#endif
