# Builds a dynamic module against the nginx-dev package, with the configure
# flags that the package states (conf_flags), so that nginx's signature check
# passes.  The sources are linked into a folder because configure writes a
# Makefile beside itself.  The presets share it: configure takes half a minute
# and finds the same each time.

set(NGINX_TREE ${CMAKE_BINARY_DIR}/nginx CACHE PATH
    "where nginx's configure writes; build trees may share it")
set(NGINX_OBJS ${NGINX_TREE}/objs)

# conf_flags leaves out what Debian builds as its own dynamic modules; stream's
# headers need to know that it has SSL.
set(NGINX_EXTRA_FLAGS --with-stream=dynamic --with-stream_ssl_module)

file(MAKE_DIRECTORY ${NGINX_TREE})
file(LOCK ${NGINX_TREE} DIRECTORY)
if(NOT EXISTS ${NGINX_OBJS}/ngx_auto_config.h)
    file(CREATE_LINK ${NGINX_SOURCE}/auto ${NGINX_TREE}/auto SYMBOLIC)
    file(CREATE_LINK ${NGINX_SOURCE}/src ${NGINX_TREE}/src SYMBOLIC)
    list(JOIN NGINX_EXTRA_FLAGS " " extra)
    execute_process(
        COMMAND bash -c ". '${NGINX_SOURCE}/conf_flags' && sh '${NGINX_SOURCE}/configure' --with-cc-opt='-g -O2 -fPIC' --with-ld-opt=-fPIC \"\${NGX_CONF_FLAGS[@]}\" ${extra} --builddir=objs"
        WORKING_DIRECTORY ${NGINX_TREE}
        OUTPUT_FILE ${NGINX_TREE}/configure.log
        ERROR_FILE ${NGINX_TREE}/configure.log
        RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "nginx's configure failed: see ${NGINX_TREE}/configure.log")
    endif()
endif()
file(LOCK ${NGINX_TREE} DIRECTORY RELEASE)

# What nginx gives to include: NGINX_CORE is for every room that knows nginx,
# NGINX_STREAM and NGINX_HTTP are for the room of that subsystem.
set(NGINX_CORE
    ${NGINX_SOURCE}/src/core ${NGINX_SOURCE}/src/event
    ${NGINX_SOURCE}/src/event/modules ${NGINX_SOURCE}/src/os/unix ${NGINX_OBJS})
set(NGINX_STREAM ${NGINX_CORE} ${NGINX_SOURCE}/src/stream)
set(NGINX_HTTP ${NGINX_CORE}
    ${NGINX_SOURCE}/src/http ${NGINX_SOURCE}/src/http/modules
    ${NGINX_SOURCE}/src/http/v2
    /usr/share/nginx-ndk/src/src /usr/share/nginx-ndk/src/objs)

# add_nginx_module(NAME ROOM...): one module file of these rooms.
function(add_nginx_module name)
    add_library(${name} MODULE)
    foreach(room ${ARGN})
        target_sources(${name} PRIVATE $<TARGET_OBJECTS:${room}>)
    endforeach()
    set_target_properties(${name} PROPERTIES PREFIX "" LINKER_LANGUAGE C
        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/modules)
    target_link_options(${name} PRIVATE -Wl,-z,now)
endfunction()
