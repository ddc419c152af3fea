// The command line of an application: worker, call, result and the rest of `lovage --help`.
#pragma once

#include <lovage/app.hpp>

namespace lovage {

// Runs the command that the arguments name, as `lovage -A <this program>` would, and returns the exit
// code. Part of lovage::worker.
int main(App& app, int argc, char** argv);

}  // namespace lovage

// What `lovage -A ./libshop.so` looks for in a shared library. A library that serves an app defines it:
//
//   lovage::App app("shop");
//   extern "C" lovage::App* lovage_app() { return &app; }
//
// Kept out of the way of programs, which need not have it.
extern "C" lovage::App* lovage_app();
