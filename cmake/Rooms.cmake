# A room is a folder of C and an object library of the same name.
#
# "dns/name.h" is looked up under a folder of links in the build tree, one folder
# for each room and kind: rooms/public/dns/dns holds a link to each header of
# dns/, rooms/own/dns/dns is all of dns/.  A room's include path has its own
# folder and the public ones of the rooms that add_room() names, so that an
# include of anything else does not compile: no room above, no private header of
# another room.  What lies in a folder of a room, such as store/redis/, is
# private to the room.

set(ROOMS_DIR ${CMAKE_BINARY_DIR}/rooms)

# link_room(NAME): makes the links, anew each time, since headers come and go.
function(link_room name)
    set(public ${ROOMS_DIR}/public/${name}/${name})
    file(REMOVE_RECURSE ${public})
    file(MAKE_DIRECTORY ${public} ${ROOMS_DIR}/own/${name})
    file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.h)
    foreach(header ${headers})
        get_filename_component(file ${header} NAME)
        file(CREATE_LINK ${header} ${public}/${file} SYMBOLIC)
    endforeach()
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${name} ${ROOMS_DIR}/own/${name}/${name}
        SYMBOLIC)
endfunction()

# see_room(TARGET public|own ROOM...): puts the rooms on TARGET's include path.
# Debuggers, assertions and profiles name the file in the source tree.
function(see_room target kind)
    foreach(room ${ARGN})
        target_include_directories(${target} PRIVATE ${ROOMS_DIR}/${kind}/${room})
        target_compile_options(${target} PRIVATE
            -ffile-prefix-map=${ROOMS_DIR}/${kind}/${room}/=${CMAKE_SOURCE_DIR}/)
    endforeach()
endfunction()

# add_room(NAME [SEES ROOM...] [LIBRARIES TARGET...] [SYSTEM FOLDER...]): the
# room in the folder that calls it, of every .c file there and one folder below.
function(add_room name)
    cmake_parse_arguments(room "" "" "SEES;LIBRARIES;SYSTEM" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c
        ${CMAKE_CURRENT_SOURCE_DIR}/*/*.c)
    add_library(${name} OBJECT ${sources})
    link_room(${name})
    see_room(${name} own ${name})
    see_room(${name} public ${room_SEES})
    # The headers of others are not held to our warnings.
    target_include_directories(${name} SYSTEM PRIVATE ${room_SYSTEM})
    target_link_libraries(${name} PRIVATE ${room_LIBRARIES})
endfunction()
