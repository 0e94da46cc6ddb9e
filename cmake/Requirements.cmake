# Finds every library that the build needs.  What is missing ends the run with
# one line that names it and the command that installs it.

find_package(PkgConfig)
if(NOT PKG_CONFIG_FOUND)
    message(FATAL_ERROR "pkg-config is missing: apt-get install pkg-config")
endif()

function(require_library name module package)
    pkg_check_modules(${name} IMPORTED_TARGET GLOBAL QUIET ${module})
    if(NOT ${name}_FOUND)
        message(FATAL_ERROR "${module} is missing: apt-get install ${package}")
    endif()
endfunction()

require_library(LDNS ldns libldns-dev)
require_library(CRYPTO libcrypto libssl-dev)
require_library(SSL libssl libssl-dev)
require_library(LMDB lmdb liblmdb-dev)
require_library(LUAJIT luajit libluajit2-5.1-dev)
require_library(PCRE2 libpcre2-8 libpcre2-dev)
require_library(MARIADB libmariadb libmariadb-dev)
require_library(HIREDIS hiredis libhiredis-dev)
require_library(JANSSON jansson libjansson-dev)
require_library(CMOCKA cmocka libcmocka-dev)

function(require_program variable program package)
    find_program(${variable} ${program})
    if(NOT ${variable})
        message(FATAL_ERROR "${program} is missing: apt-get install ${package}")
    endif()
endfunction()

require_program(LUAJIT_PROGRAM luajit luajit2)
require_program(PYTHON_PROGRAM python3 python3)

set(NGINX_SOURCE /usr/share/nginx/src)
if(NOT EXISTS ${NGINX_SOURCE}/conf_flags)
    message(FATAL_ERROR "nginx-dev is missing: apt-get install nginx-dev")
endif()
if(NOT EXISTS /usr/share/nginx-ndk/src)
    message(FATAL_ERROR "the NDK headers are missing: apt-get install libnginx-mod-http-ndk-dev")
endif()
