// The shop's worker as a program of its own: `./shop worker -c 4` is `lovage -A ./libshop.so worker -c 4`.
#include <lovage/app.hpp>
#include <lovage/main.hpp>

int main(int argc, char** argv) {
  return lovage::main(*lovage_app(), argc, argv);
}
