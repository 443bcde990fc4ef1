# nts_driver(name SOURCES file... [KMDF] [NDIS] [FLTMGR] [INF file] [INCLUDES folder...] [DEFINITIONS def...] [WINDOWS_LIBS lib...])
#
#   host      ${NTS_DRIVER_DIR}/<name>.so    an ELF module; the loading executable resolves the kernel's names
#   pe        ${NTS_DRIVER_DIR}/<name>.sys   clang --target=x86_64-pc-windows-msvc and lld-link against our own headers
#   windows   ${NTS_DRIVER_DIR}/<name>.sys   cl and link with the WDK, plus stamped INF and unsigned CAT
#
# KMDF adds the framework's entry stub, NDIS and FLTMGR what their headers and import libraries want. The target is called <name>.
include(${CMAKE_CURRENT_LIST_DIR}/flags.cmake)

set(NTS_IMPORT_LIBS ntoskrnl ndis fltmgr netio wdfldr)

if(NTS_PE)
  find_program(NTS_NODE node REQUIRED)
  if(NTS_IMPLIB_DIR)
    set(nts_implib_dir ${NTS_IMPLIB_DIR})
  else()
    set(nts_implib_dir ${CMAKE_BINARY_DIR}/implib)
    set(nts_implib_outputs)
    foreach(lib IN LISTS NTS_IMPORT_LIBS)
      list(APPEND nts_implib_outputs ${nts_implib_dir}/${lib}.lib)
    endforeach()
    file(GLOB nts_implib_inputs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/wdk/*.mjs ${CMAKE_SOURCE_DIR}/tools/wdk/*.json
      ${CMAKE_SOURCE_DIR}/tools/wdk/abi/*.json)
    add_custom_command(
      OUTPUT ${nts_implib_outputs}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${nts_implib_dir}
      COMMAND ${CMAKE_COMMAND} -E env NTS_LLD_LINK=${NTS_LLD_LINK} ${NTS_NODE} ${CMAKE_SOURCE_DIR}/tools/wdk/implib.mjs ${nts_implib_dir}
      DEPENDS ${nts_implib_inputs}
      COMMENT "Import libraries out of the export facts"
      VERBATIM)
    add_custom_target(nts_implib DEPENDS ${nts_implib_outputs})
  endif()
endif()

if(NTS_WINDOWS)
  include(${CMAKE_CURRENT_LIST_DIR}/wdk.cmake)
endif()

set(NTS_KMDF_STUB_DIR ${CMAKE_SOURCE_DIR}/tools/wdk/kmdf)

# An interface of what all builds of one driver have in common.
function(nts_driver_common target)
  cmake_parse_arguments(PARSE_ARGV 1 D "KMDF;NDIS;FLTMGR" "" "INCLUDES;DEFINITIONS")
  add_library(${target} INTERFACE)
  target_include_directories(${target} INTERFACE ${CMAKE_CURRENT_SOURCE_DIR} ${D_INCLUDES})
  target_compile_definitions(${target} INTERFACE ${D_DEFINITIONS})
  if(D_KMDF)
    target_compile_definitions(${target} INTERFACE KMDF_VERSION_MAJOR=1 KMDF_VERSION_MINOR=33)
  endif()
  if(D_NDIS)
    target_compile_definitions(${target} INTERFACE NDIS_WDM=1 NDIS685=1)
  endif()
endfunction()

function(nts_driver name)
  cmake_parse_arguments(PARSE_ARGV 1 D "KMDF;NDIS;FLTMGR" "INF" "SOURCES;INCLUDES;DEFINITIONS;WINDOWS_LIBS")
  if(NOT D_SOURCES)
    message(FATAL_ERROR "nts_driver(${name}): SOURCES missing")
  endif()
  set(flags)
  foreach(flag KMDF NDIS FLTMGR)
    if(D_${flag})
      list(APPEND flags ${flag})
    endif()
  endforeach()
  nts_driver_common(${name}_common ${flags} INCLUDES ${D_INCLUDES} DEFINITIONS ${D_DEFINITIONS})

  if(NTS_WINDOWS)
    nts_driver_wdk(${name} ${flags} SOURCES ${D_SOURCES} INF ${D_INF} WINDOWS_LIBS ${D_WINDOWS_LIBS})
    return()
  endif()

  # The framework's entry stub is a static library in the WDK, sources of ours here; the same on ELF and PE.
  set(stub)
  if(D_KMDF)
    file(GLOB stub CONFIGURE_DEPENDS ${NTS_KMDF_STUB_DIR}/*.c)
  endif()

  set(products)
  if(NTS_HOST)
    nts_driver_elf(${name} "${D_SOURCES};${stub}")
    list(APPEND products ${name}_elf)
  endif()
  if(NTS_PE)
    set(entry DriverEntry)
    set(libs ntoskrnl)
    if(D_KMDF)
      set(entry FxDriverEntry)
      list(APPEND libs wdfldr)
    endif()
    if(D_NDIS)
      list(APPEND libs ndis netio)
    endif()
    if(D_FLTMGR)
      list(APPEND libs fltmgr)
    endif()
    nts_driver_pe(${name} "${D_SOURCES};${stub}" ${entry} "${libs}")
    list(APPEND products ${name}_pe)
  endif()
  if(D_INF)
    get_filename_component(inf ${D_INF} ABSOLUTE)
    configure_file(${inf} ${NTS_DRIVER_DIR}/${name}.inf COPYONLY)
  endif()
  add_custom_target(${name} ALL DEPENDS ${products})
endfunction()

function(nts_driver_elf name sources)
  add_library(${name}_elf MODULE ${sources})
  # Protected, with a version script that keeps all but the entry points local, gives hidden's code and still lets the loader
  # find DriverEntry, which a Windows source does not mark for export.
  target_compile_options(${name}_elf PRIVATE -fvisibility=protected)
  target_link_options(${name}_elf PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/driver.map -Wl,--undefined-version)
  set_target_properties(${name}_elf PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} SUFFIX ".so"
    LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/driver.map
    LIBRARY_OUTPUT_DIRECTORY ${NTS_DRIVER_DIR})
  target_link_libraries(${name}_elf PRIVATE ${name}_common nts_elf)
  if(NTS_SANITIZE)
    # Coverage for the fuzzers; the sanitizer runtime of every other executable carries empty counterparts.
    target_compile_options(${name}_elf PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# The ELF module of a driver once more, under drivers/points: with a call before each access to memory and in each block of code,
# where a test lets the deterministic scheduler switch. Not for PE, whose imports could not be resolved. The list names sources
# that work on memory that nobody else sees.
function(nts_driver_points name ignorelist)
  get_target_property(sources ${name}_elf SOURCES)
  get_target_property(folder ${name}_elf SOURCE_DIR)
  list(TRANSFORM sources REPLACE "^([^/])" "${folder}/\\1")
  add_library(${name}_points MODULE ${sources})
  target_compile_options(${name}_points PRIVATE -fvisibility=protected
    -include ${CMAKE_SOURCE_DIR}/cmake/points.h -fsanitize-coverage=trace-pc-guard,trace-loads,trace-stores
    -fsanitize-coverage-ignorelist=${CMAKE_CURRENT_SOURCE_DIR}/${ignorelist})
  set_target_properties(${name}_points PROPERTIES OBJECT_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${ignorelist})
  target_link_options(${name}_points PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/driver.map -Wl,--undefined-version)
  set_target_properties(${name}_points PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} SUFFIX ".so"
    LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/driver.map
    LIBRARY_OUTPUT_DIRECTORY ${NTS_DRIVER_DIR}/points)
  target_link_libraries(${name}_points PRIVATE ${name}_common nts_elf)
endfunction()

function(nts_driver_pe name sources entry libs)
  add_library(${name}_obj OBJECT ${sources})
  target_link_libraries(${name}_obj PRIVATE ${name}_common)
  target_include_directories(${name}_obj PRIVATE ${NTS_KERNEL_INCLUDES})
  target_compile_definitions(${name}_obj PRIVATE ${NTS_KERNEL_DEFINITIONS})
  target_compile_options(${name}_obj PRIVATE --target=x86_64-pc-windows-msvc -O2 -g -gcodeview -fomit-frame-pointer
    ${NTS_DIALECT} ${NTS_WARNINGS} -ffreestanding -nostdlibinc -mno-red-zone -fno-stack-protector
    -fasynchronous-unwind-tables) # which -ffreestanding turns off; stacks are walked by .pdata

  set(image ${NTS_DRIVER_DIR}/${name}.sys)
  set(inputs)
  foreach(lib IN LISTS libs)
    list(APPEND inputs ${nts_implib_dir}/${lib}.lib)
  endforeach()
  add_custom_command(
    OUTPUT ${image}
    BYPRODUCTS ${NTS_DRIVER_DIR}/${name}.pdb
    COMMAND ${CMAKE_COMMAND} -E make_directory ${NTS_DRIVER_DIR}
    COMMAND ${NTS_LLD_LINK} /nologo /driver /subsystem:native /machine:x64 /nodefaultlib /dynamicbase /release
      /opt:ref /Brepro /section:INIT,ERD /debug /pdbaltpath:%_PDB% /entry:${entry} /out:${image} $<TARGET_OBJECTS:${name}_obj> ${inputs}
    DEPENDS ${name}_obj $<TARGET_OBJECTS:${name}_obj> ${inputs}
    COMMENT "Linking PE image drivers/${name}.sys"
    COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(${name}_pe DEPENDS ${image})
  if(TARGET nts_implib)
    add_dependencies(${name}_pe nts_implib)
  endif()
endfunction()
