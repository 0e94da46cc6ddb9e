# One set of flags for all of our C.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

add_compile_options(-Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes
    -Wmissing-prototypes -fno-strict-aliasing -fno-omit-frame-pointer)
add_compile_definitions(_GNU_SOURCE)

set(RESOLUA_SANITIZE "" CACHE STRING "sanitizers, as -fsanitize takes them")
if(RESOLUA_SANITIZE)
    add_compile_options(-fsanitize=${RESOLUA_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${RESOLUA_SANITIZE})
endif()

# libFuzzer follows the branches of everything that it calls.
if(RESOLUA_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
