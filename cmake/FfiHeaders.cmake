# Each ROOM/NAME_ffi.h is the one statement of an interface that Lua sees.  The
# build makes lua/dns/cdef_NAME.lua from it (in the build folder) and lets the C
# compiler judge the sizes and offsets that LuaJIT computed.

set(FFI_LUA_DIR ${CMAKE_BINARY_DIR}/lua)
file(MAKE_DIRECTORY ${FFI_LUA_DIR}/dns)

# add_ffi_header(NAME): NAME_ffi.h of the room whose folder calls it.
function(add_ffi_header name)
    get_filename_component(room ${CMAKE_CURRENT_SOURCE_DIR} NAME)
    set(header ${CMAKE_CURRENT_SOURCE_DIR}/${name}_ffi.h)
    set(cdef ${FFI_LUA_DIR}/dns/cdef_${name}.lua)
    set(check ${CMAKE_BINARY_DIR}/ffi_check_${name}.c)

    add_custom_command(OUTPUT ${cdef} ${check}
        COMMAND ${LUAJIT_PROGRAM} ${CMAKE_SOURCE_DIR}/tools/ffi_check.lua
            ${header} ${cdef} ${check}
        DEPENDS ${header} ${CMAKE_SOURCE_DIR}/tools/ffi_check.lua
        COMMENT "FFI declarations of ${name}")
    add_library(ffi_check_${name} OBJECT ${check})
    see_room(ffi_check_${name} public ${room} dns)
    target_sources(resolua PRIVATE $<TARGET_OBJECTS:ffi_check_${name}>)
    add_custom_target(ffi_cdef_${name} ALL DEPENDS ${cdef})
    set_property(GLOBAL APPEND PROPERTY FFI_CDEF_TARGETS ffi_cdef_${name})
endfunction()
