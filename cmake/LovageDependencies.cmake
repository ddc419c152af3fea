# Debian's packages; `tools/install-packages` installs them. Newer releases must work too.
# A project that takes Lovage in by add_subdirectory links these too, from its own folders.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(BZip2 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET GLOBAL hiredis)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET GLOBAL sqlite3)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET GLOBAL libzstd)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET GLOBAL libpcre2-8)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET GLOBAL tomlplusplus)
find_package(nlohmann_json REQUIRED)  # msgpack; msgpuck is neither PIC nor safe on hostile lengths

find_path(LOVAGE_EXPECTED_INCLUDE tl/expected.hpp REQUIRED)
find_path(LOVAGE_RAPIDJSON_INCLUDE rapidjson/rapidjson.h REQUIRED)
