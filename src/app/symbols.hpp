// Names for code addresses.
#pragma once

#include <string>
#include <string_view>

namespace lovage::app {

struct Symbol {
  std::string file;      // the program or library
  std::string function;  // demangled, or "0x..." when no name is known
};

// The function that a return address lies in. Reads the file's symbol table, so that the functions of a
// program that exports nothing have names too; a stripped file has none.
Symbol find_symbol(const void* return_address);

std::string demangle(const char* name);

// The function that a symbol is, or is a part or a copy of: "shop::f(int)" for "_ZN4shop1fEi.cold".
std::string function_name(std::string_view symbol);

}  // namespace lovage::app
