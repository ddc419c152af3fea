// The fork server: the process that all children of a prefork pool come from. It is the worker's own
// program, started with kForkServerFlag as its first argument; it loads the app and nothing else, so that
// it has one thread and can fork. When a library of the app has started threads, it starts each child as
// a fresh process instead. It reaps the children, tells the worker how each ended, and kills them all
// when the worker is gone.
#pragma once

#include <string_view>

#include "app/registry.hpp"

namespace lovage::execution {

// As argv[1]: load the app (with the arguments that follow, see PoolOptions::fork_server_arguments) and
// call run_fork_server.
inline constexpr std::string_view kForkServerFlag = "--lovage-fork-server";

// Serves until the worker goes away; returns the exit code. Children run in here, too: a forked one never
// returns. All that it needs of the settings comes from the worker. Started by hand it says so and
// returns 2.
int run_fork_server(const app::Registry& registry);

// The descriptors that it is started with.
inline constexpr int kForkServerSocket = 3;  // to the worker; a stream socket makes it a single child
inline constexpr int kForkServerPages = 4;   // see shared_pages.hpp

}  // namespace lovage::execution
