# What makes a mistake in memory a clean end instead of a foothold: for optimised builds, and only for our own targets.
# Sanitizers see more and do not get along with all of it. docs/install.md says what it costs.
option(LOVAGE_HARDENING "Build with the compiler's and the linker's hardening" ON)
if(NOT LOVAGE_HARDENING OR LOVAGE_SANITIZE)
  return()
endif()

include(CheckCXXCompilerFlag)
include(CheckPIESupported)
check_pie_supported(LANGUAGES CXX)  # CMAKE_POSITION_INDEPENDENT_CODE compiles programs so; this links them so

set(optimised $<NOT:$<CONFIG:Debug>>)
foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -mbranch-protection=standard)
  string(MAKE_C_IDENTIFIER "LOVAGE_HAS${flag}" has)
  check_cxx_compiler_flag("-Werror ${flag}" ${has})
  if(${has})
    target_compile_options(lovage_options INTERFACE $<${optimised}:${flag}>)
  endif()
endforeach()
target_compile_options(lovage_options INTERFACE $<${optimised}:-U_FORTIFY_SOURCE> $<${optimised}:-D_FORTIFY_SOURCE=3>)
target_compile_definitions(lovage_options INTERFACE $<${optimised}:_GLIBCXX_ASSERTIONS>)
foreach(target lovage_options lovage_options_link)
  target_link_options(${target} INTERFACE $<${optimised}:LINKER:-z,relro,-z,now,-z,noexecstack>)
endforeach()
