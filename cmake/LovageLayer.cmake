# Warnings, sanitizers and include folders that every target of this project is built with.
add_library(lovage_options INTERFACE)
target_compile_features(lovage_options INTERFACE cxx_std_20)
target_include_directories(lovage_options INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_compile_options(lovage_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  $<$<BOOL:${LOVAGE_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # With optimisation, g++ 12 sees overlaps, overflows and uninitialised members in std::string concatenation and
  # in moved std::variant and std::optional that are not there (its bugs 105651, 105562 and 107852).
  target_compile_options(lovage_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow)
  # As clang does by itself: nobody puts a function of his own in the place of one of ours.
  target_compile_options(lovage_options INTERFACE -fno-semantic-interposition)
endif()
set(glibcxx_assertions $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
if(LOVAGE_SANITIZE)
  set(glibcxx_assertions _GLIBCXX_ASSERTIONS)
  target_compile_options(lovage_options INTERFACE
    -fsanitize=${LOVAGE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(lovage_options INTERFACE -fsanitize=${LOVAGE_SANITIZE})
endif()
# The standard library's own cheap checks: an index in range, an optional that holds something.
target_compile_definitions(lovage_options INTERFACE ${glibcxx_assertions})

# lovage_layer(NAME SOURCES a.cpp ... LINK lib ...): one layer of docs/architecture.md, as objects.
# tools/check_layers.py proves that its includes only point down.
function(lovage_layer name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(lovage_layer_${name} OBJECT ${arg_SOURCES})
  target_link_libraries(lovage_layer_${name} PRIVATE lovage_options ${arg_LINK})
  target_include_directories(lovage_layer_${name} SYSTEM PRIVATE ${LOVAGE_EXPECTED_INCLUDE})
  lovage_optimise_as_a_whole(lovage_layer_${name})
  set_property(GLOBAL PROPERTY lovage_layer_${name}_link ${arg_LINK})
endfunction()

# lovage_library(NAME layer ...): one library made of layers.
function(lovage_library name)
  set(objects)
  set(links)
  foreach(layer ${ARGN})
    list(APPEND objects $<TARGET_OBJECTS:lovage_layer_${layer}>)
    get_property(link GLOBAL PROPERTY lovage_layer_${layer}_link)
    list(APPEND links ${link})
  endforeach()
  # What is headers alone has been compiled into the layers.
  list(REMOVE_ITEM links CLI11::CLI11)
  list(REMOVE_DUPLICATES links)
  set_property(GLOBAL PROPERTY lovage_library_${name}_links ${links})
  add_library(lovage_${name} ${objects})
  add_library(lovage::${name} ALIAS lovage_${name})
  # Before 1.0, a minor version may change what is public.
  set(soversion ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  set_target_properties(lovage_${name} PROPERTIES
    EXPORT_NAME ${name} VERSION ${PROJECT_VERSION} SOVERSION ${soversion} LINKER_LANGUAGE CXX)
  target_compile_features(lovage_${name} PUBLIC cxx_std_20)
  target_include_directories(lovage_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                   $<INSTALL_INTERFACE:include>)
  target_link_libraries(lovage_${name} PRIVATE ${links} $<BUILD_INTERFACE:lovage_options_link>)
  lovage_optimise_as_a_whole(lovage_${name})
endfunction()

# The sanitizer flags alone, for linking libraries.
add_library(lovage_options_link INTERFACE)
if(LOVAGE_SANITIZE)
  target_link_options(lovage_options_link INTERFACE -fsanitize=${LOVAGE_SANITIZE})
endif()

# With sanitizers each test runs under a program that collects the reports of all its processes, and has this many
# times as long; so have the upper limits within tests (tests/support/slowness.hpp).
set(LOVAGE_TEST_LAUNCHER)
set(LOVAGE_TEST_SLOWNESS 1)
if(LOVAGE_SANITIZE)
  set(LOVAGE_TEST_LAUNCHER ${LOVAGE_PYTHON} ${PROJECT_SOURCE_DIR}/tests/support/sanitized.py)
  set(LOVAGE_TEST_SLOWNESS 4)
endif()

# lovage_add_test(NAME LABEL unit|component|interop|fault|packaging TIMEOUT seconds COMMAND ...): a CTest test that runs our code.
function(lovage_add_test name)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "COMMAND" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  math(EXPR timeout "${arg_TIMEOUT} * ${LOVAGE_TEST_SLOWNESS}")
  add_test(NAME ${name} COMMAND ${LOVAGE_TEST_LAUNCHER} ${arg_COMMAND})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABEL}" TIMEOUT ${timeout})
endfunction()

# lovage_test(NAME SOURCES ... LABEL ... TIMEOUT ... LINK ...): one GoogleTest program, one CTest test.
function(lovage_test name)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_include_directories(${name} SYSTEM PRIVATE ${LOVAGE_EXPECTED_INCLUDE})
  target_link_libraries(${name} PRIVATE lovage_options lovage_worker lovage_client GTest::gmock_main ${arg_LINK})
  lovage_add_test(${name} LABEL "${arg_LABEL}" TIMEOUT "${arg_TIMEOUT}" COMMAND $<TARGET_FILE:${name}>)
endfunction()
