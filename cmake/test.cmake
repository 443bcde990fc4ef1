# nts_test(name SOURCES file... [DRIVERS name...] [INCLUDES folder...] [DEFINITIONS def...] [ARGS arg...])
#   A test executable: the whole driver host, the harness and the sources. It prints TAP, takes --drivers=elf|pe, and exits with 0
#   if and only if all passed. DRIVERS are built before it; ARGS are passed on every run.
# nts_fuzz(name SOURCES file... [DRIVERS name...] [INCLUDES folder...] [DEFINITIONS def...])
#   A libFuzzer executable over the whole host, in sanitizer builds only.
#
# Both are listed in ${CMAKE_BINARY_DIR}/tests.json, which the test command reads.

set_property(GLOBAL PROPERTY NTS_TESTS "")
set_property(GLOBAL PROPERTY NTS_FUZZERS "")

function(nts_test_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 T "" "" "SOURCES;DRIVERS;INCLUDES;DEFINITIONS;ARGS")
  add_executable(${name} ${T_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${T_INCLUDES})
  target_compile_definitions(${name} PRIVATE
    NTS_DRIVER_DIR="${NTS_DRIVER_DIR}" NTS_SOURCE_DIR="${CMAKE_SOURCE_DIR}" ${T_DEFINITIONS})
  target_link_libraries(${name} PRIVATE nthost_core)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
  if(T_DRIVERS)
    add_dependencies(${name} ${T_DRIVERS})
  endif()
endfunction()

function(nts_test name)
  cmake_parse_arguments(PARSE_ARGV 1 T "" "" "SOURCES;DRIVERS;INCLUDES;DEFINITIONS;ARGS")
  if(NOT TARGET nthost_core OR NOT TARGET nts_harness)
    message(STATUS "nts_test(${name}): skipped, the driver host or the harness is not there")
    return()
  endif()
  nts_test_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE nts_harness)
  foreach(flavour elf pe)
    add_test(NAME ${name}.${flavour} COMMAND ${name} --drivers=${flavour} ${T_ARGS})
  endforeach()
  list(JOIN T_ARGS "\", \"" args)
  if(args)
    set(args "\"${args}\"")
  endif()
  set_property(GLOBAL APPEND PROPERTY NTS_TESTS "{\"name\": \"${name}\", \"args\": [${args}]}")
endfunction()

function(nts_fuzz name)
  if(NOT TARGET nthost_core OR NOT NTS_SANITIZE)
    return()
  endif()
  nts_test_executable(${name} ${ARGN})
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_property(GLOBAL APPEND PROPERTY NTS_FUZZERS "{\"name\": \"${name}\"}")
endfunction()

function(nts_write_manifest)
  get_property(tests GLOBAL PROPERTY NTS_TESTS)
  get_property(fuzzers GLOBAL PROPERTY NTS_FUZZERS)
  list(JOIN tests ",\n    " tests)
  list(JOIN fuzzers ",\n    " fuzzers)
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/tests.json
    CONTENT "{\n  \"tests\": [\n    ${tests}\n  ],\n  \"fuzzers\": [\n    ${fuzzers}\n  ]\n}\n")
endfunction()
