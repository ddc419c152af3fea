# The two libraries optimised as a whole (interprocedural, "link-time" optimisation), in Release and RelWithDebInfo.
# docs/benchmarks.md says what it gives. Static libraries are left as ordinary objects unless asked: others link them.
set(ipo_default OFF)
if(BUILD_SHARED_LIBS)
  set(ipo_default ON)
endif()
option(LOVAGE_IPO "Optimise the libraries as a whole" ${ipo_default})
set(lovage_ipo OFF)
if(LOVAGE_IPO AND NOT LOVAGE_SANITIZE)
  include(CheckIPOSupported)
  check_ipo_supported(RESULT lovage_ipo OUTPUT ipo_refusal LANGUAGES CXX)
  if(NOT lovage_ipo)
    message(STATUS "LOVAGE_IPO: not with this compiler and linker; each file is optimised by itself")
  endif()
endif()

# lovage_optimise_as_a_whole(TARGET): a layer's objects or a library made of them.
function(lovage_optimise_as_a_whole target)
  if(NOT lovage_ipo)
    return()
  endif()
  set_target_properties(${target} PROPERTIES
    INTERPROCEDURAL_OPTIMIZATION_RELEASE ON INTERPROCEDURAL_OPTIMIZATION_RELWITHDEBINFO ON)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # By its own measure of growth g++ puts fewer functions in place of their calls than file by file. It reads these
    # where a file is compiled, and this warning of lovage_options where the library is linked.
    set(optimised $<CONFIG:Release,RelWithDebInfo>)
    target_compile_options(${target} PRIVATE
      $<${optimised}:--param=inline-unit-growth=400> $<${optimised}:--param=large-unit-insns=1000000>)
    target_link_options(${target} PRIVATE $<${optimised}:-Wno-stringop-overflow>)
  endif()
endfunction()
