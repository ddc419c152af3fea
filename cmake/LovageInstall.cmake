# `cmake --install`: the program, the two libraries, the public headers, and how other projects find them: a CMake
# package (lovage::client, lovage::worker) and pkg-config files (lovage-client, lovage).
#
# Two components: `runtime` (what runs) and `development` (what compiles against it).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(cmake_folder ${CMAKE_INSTALL_LIBDIR}/cmake/lovage)
set(pkgconfig_folder ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(TARGETS lovage_client lovage_worker EXPORT lovageTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(TARGETS lovage RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/lovage DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
        FILES_MATCHING PATTERN "*.hpp")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)

# What the program says about itself: completions and the manual page, from the table that --help is printed from.
set(documents ${PROJECT_BINARY_DIR}/documents)
# Where zsh looks: Debian's own packages put theirs into a folder of their own.
set(zsh_folder ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr" AND EXISTS /etc/debian_version)
  set(zsh_folder ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
endif()
# lovage_document(FILE FOLDER ARGUMENT...)
function(lovage_document file folder)
  add_custom_command(OUTPUT ${documents}/${file}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${documents}
    COMMAND ${CMAKE_COMMAND} -E env --unset=APP --unset=CELERY_APP --unset=CELERY_WORKDIR
            $<TARGET_FILE:lovage> ${ARGN} > ${documents}/${file}
    DEPENDS lovage VERBATIM)
  set_property(GLOBAL APPEND PROPERTY lovage_documents ${documents}/${file})
  install(FILES ${documents}/${file} DESTINATION ${folder} COMPONENT runtime)
endfunction()
lovage_document(lovage ${CMAKE_INSTALL_DATADIR}/bash-completion/completions completion bash)
lovage_document(_lovage ${zsh_folder} completion zsh)
lovage_document(lovage.fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d completion fish)
lovage_document(lovage.1 ${CMAKE_INSTALL_MANDIR}/man1 man)
get_property(lovage_documents GLOBAL PROPERTY lovage_documents)
add_custom_target(lovage_documents ALL DEPENDS ${lovage_documents})

# Outside the system's own folders the program finds its libraries beside itself, wherever the tree is moved.
if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr" AND NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  file(RELATIVE_PATH libraries_from_bin /prefix/${CMAKE_INSTALL_BINDIR} /prefix/${CMAKE_INSTALL_LIBDIR})
  set_target_properties(lovage PROPERTIES INSTALL_RPATH "$ORIGIN/${libraries_from_bin}")
  set_target_properties(lovage_worker PROPERTIES INSTALL_RPATH "$ORIGIN")
endif()

# What a user of a static library has to link besides, three ways of saying it. A shared library brings its own.
# lovage_dependency(TARGET [FIND code for the package file] [PC module] [LIB flag]).
function(lovage_dependency target)
  cmake_parse_arguments(arg "" "FIND;PC;LIB" "" ${ARGN})
  set_property(GLOBAL PROPERTY "lovage_find_${target}" "${arg_FIND}")
  set_property(GLOBAL PROPERTY "lovage_pc_${target}" "${arg_PC}")
  set_property(GLOBAL PROPERTY "lovage_lib_${target}" "${arg_LIB}")
endfunction()
lovage_dependency(Threads::Threads FIND "find_dependency(Threads)" LIB -pthread)
lovage_dependency(OpenSSL::SSL FIND "find_dependency(OpenSSL)" PC libssl)
lovage_dependency(OpenSSL::Crypto FIND "find_dependency(OpenSSL)" PC libcrypto)
lovage_dependency(ZLIB::ZLIB FIND "find_dependency(ZLIB)" PC zlib)
lovage_dependency(BZip2::BZip2 FIND "find_dependency(BZip2)" LIB -lbz2)
lovage_dependency(fmt::fmt FIND "find_dependency(fmt)" PC fmt)
lovage_dependency(spdlog::spdlog FIND "find_dependency(spdlog)" PC spdlog)
lovage_dependency(PkgConfig::hiredis FIND "lovage_find_module(hiredis hiredis)" PC hiredis)
lovage_dependency(PkgConfig::sqlite3 FIND "lovage_find_module(sqlite3 sqlite3)" PC sqlite3)
lovage_dependency(PkgConfig::zstd FIND "lovage_find_module(zstd libzstd)" PC libzstd)
lovage_dependency(PkgConfig::pcre2 FIND "lovage_find_module(pcre2 libpcre2-8)" PC libpcre2-8)
lovage_dependency(PkgConfig::tomlplusplus FIND "lovage_find_module(tomlplusplus tomlplusplus)" PC tomlplusplus)
foreach(library ${CMAKE_DL_LIBS})
  lovage_dependency(${library} LIB -l${library})
endforeach()

# lovage_pkgconfig(MODULE LIBRARY DESCRIPTION [REQUIRES module])
function(lovage_pkgconfig module library description)
  cmake_parse_arguments(arg "" "REQUIRES" "" ${ARGN})
  set(modules)
  set(flags)
  if(NOT BUILD_SHARED_LIBS)
    get_property(links GLOBAL PROPERTY lovage_library_${library}_links)
    foreach(link ${links})
      get_property(pc GLOBAL PROPERTY "lovage_pc_${link}")
      get_property(lib GLOBAL PROPERTY "lovage_lib_${link}")
      list(APPEND modules ${pc})
      list(APPEND flags ${lib})
    endforeach()
    list(JOIN modules ", " modules)
    list(JOIN flags " " flags)
  endif()
  # Relative to the file, so that an installed tree can be moved, unless a folder was given as an absolute path.
  set(prefix ${CMAKE_INSTALL_PREFIX})
  if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    file(RELATIVE_PATH up /prefix/${pkgconfig_folder} /prefix)
    string(REGEX REPLACE "/$" "" up "${up}")
    set(prefix "\${pcfiledir}/${up}")
  endif()
  cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY "\${prefix}" OUTPUT_VARIABLE libdir)
  cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY "\${prefix}" OUTPUT_VARIABLE includedir)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/lovage.pc.in ${PROJECT_BINARY_DIR}/${module}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${module}.pc DESTINATION ${pkgconfig_folder} COMPONENT development)
endfunction()
lovage_pkgconfig(lovage-client client "Sends tasks to a distributed task queue and reads their results")
lovage_pkgconfig(lovage worker "Runs the tasks of a distributed task queue; sends and reads as lovage-client does"
                 REQUIRES "lovage-client = ${PROJECT_VERSION}")

set(dependencies)
if(NOT BUILD_SHARED_LIBS)
  foreach(library client worker)
    get_property(links GLOBAL PROPERTY lovage_library_${library}_links)
    foreach(link ${links})
      get_property(find GLOBAL PROPERTY "lovage_find_${link}")
      list(APPEND dependencies ${find})
    endforeach()
  endforeach()
  list(REMOVE_DUPLICATES dependencies)
  list(JOIN dependencies "\n" dependencies)
endif()
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/lovageConfig.cmake.in ${PROJECT_BINARY_DIR}/lovageConfig.cmake
  INSTALL_DESTINATION ${cmake_folder} NO_SET_AND_CHECK_MACRO)
# Before 1.0, a minor version may change what is public.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lovageConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/lovageConfig.cmake ${PROJECT_BINARY_DIR}/lovageConfigVersion.cmake
        DESTINATION ${cmake_folder} COMPONENT development)
install(EXPORT lovageTargets NAMESPACE lovage:: DESTINATION ${cmake_folder} COMPONENT development)
