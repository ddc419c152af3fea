# Debian packages, by `cpack -G DEB` (the preset "package"; tools/try-package tries them in a bare system):
#   lovage       the program, the libraries, completions, the manual page
#   lovage-dev   headers, CMake package, pkg-config files
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lovage)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "distributed task queue that speaks Celery's protocol")
set(CPACK_PACKAGE_VENDOR "Lovage")
set(CPACK_PACKAGE_CONTACT "Lovage's developers <lovage@localhost>")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR})
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime development)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
# Folders as Debian has them, whatever the umask of who builds.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME lovage)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION net)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS redis-server)
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "Runs workers that take tasks from queues in Redis or in an SQLite file, sends
tasks and reads their results. Python's Celery and Lovage may serve the same
queues.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME lovage-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "lovage (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "Development files: headers, and what CMake and pkg-config need to build programs
that send tasks (lovage::client) and workers (lovage::worker) in C++20.")

include(CPack)
