# cmake --install puts everything where a distribution would, under any prefix:
#
#   bin/resolua                     the command
#   lib/nginx/modules/              the nginx module
#   lib/resolua/libresolua.so       the library behind it and the Lua modules
#   share/resolua/lua/              Lua modules, with what the build has made
#   share/resolua/VERSION, docs/, sql/, conf/
#
# Nothing in there knows the source tree: the module and the command find what they
# need from where they lie themselves.

set(modules_folder lib/nginx/modules)
set(library_folder lib/resolua)
set(data_folder share/resolua)

install(TARGETS resolua LIBRARY DESTINATION ${library_folder})
install(TARGETS ngx_resolua_module LIBRARY DESTINATION ${modules_folder})
set_target_properties(ngx_resolua_module PROPERTIES
    INSTALL_RPATH "$ORIGIN/../../resolua")

install(DIRECTORY lua/ DESTINATION ${data_folder}/lua
    FILES_MATCHING PATTERN "*.lua" PATTERN "*.js")
install(DIRECTORY ${FFI_LUA_DIR}/ DESTINATION ${data_folder}/lua)
install(FILES VERSION README.md CHANGELOG.md LICENSE DESTINATION ${data_folder})
install(DIRECTORY docs sql conf DESTINATION ${data_folder})
install(PROGRAMS tools/resolua DESTINATION bin)

# The module of the build tree looks for the Lua modules as an installed one does.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/share/resolua)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/lua ${CMAKE_BINARY_DIR}/share/resolua/lua
    SYMBOLIC)
